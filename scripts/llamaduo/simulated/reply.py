"""One answer of the simulated service, before it is put into a protocol's words."""

from dataclasses import dataclass
from typing import Literal

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English text; the simulated service has no tokenizer."""


@dataclass(frozen=True)
class Reply:
    """The text, why it ended, and the tokens that would be charged for. A refusal has no text."""

    text: str
    stop: Literal["stop", "length", "refusal"]
    prompt_tokens: int
    completion_tokens: int


def count_tokens(text: str) -> int:
    """About how many tokens a text has."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def cut(text: str, prompt: str, most_tokens: int | None) -> Reply:
    """The reply with this text, cut off at `most_tokens`."""
    tokens = count_tokens(text)
    if most_tokens is not None and tokens > most_tokens:
        return Reply(text[: most_tokens * CHARACTERS_PER_TOKEN], "length", count_tokens(prompt), most_tokens)
    return Reply(text, "stop", count_tokens(prompt), tokens)
