"""One answer of the simulated service, before it is put into a protocol's words."""

from dataclasses import dataclass
from typing import Literal

CHARACTERS_PER_TOKEN = 4
"""A rule of thumb for English text; the simulated service has no tokenizer."""


@dataclass(frozen=True)
class Reply:
    """The text, why it ended, and the tokens that would be charged for. A refusal has no text.

    Of the prompt's tokens, `cached_tokens` were read from the cache and `cache_write_tokens` written to it.
    """

    text: str
    stop: Literal["stop", "length", "refusal"]
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0


def count_tokens(text: str) -> int:
    """About how many tokens a text has."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def cut(text: str, prompt_tokens: int, most_tokens: int | None) -> Reply:
    """The reply with this text, cut off at `most_tokens`."""
    tokens = count_tokens(text)
    if most_tokens is not None and tokens > most_tokens:
        return Reply(text[: most_tokens * CHARACTERS_PER_TOKEN], "length", prompt_tokens, most_tokens)
    return Reply(text, "stop", prompt_tokens, tokens)
