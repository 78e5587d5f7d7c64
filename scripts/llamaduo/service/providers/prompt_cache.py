"""Anthropic's prompt cache: which parts of a prompt to mark for it.

The vendor keeps what stands before a mark for five minutes: whoever writes it pays a quarter more for these tokens,
and whoever reads it a tenth. So a prompt that is asked once is not marked, and one that several replicates ask is
marked as a whole: of M grades one writes and M - 1 read, at (1.25 + 0.1 (M - 1)) / M of the price, provided that the
first was answered before the others start. The system turn is marked for itself: all prompts of a step share it.
https://platform.claude.com/docs/en/build-with-claude/prompt-caching
"""

import re
from collections.abc import Sequence
from typing import Any

from llamaduo.models.messages import Message

LEAST_TOKENS: tuple[tuple[re.Pattern[str], int], ...] = (
    (re.compile(r"opus-4-[56]|haiku-4"), 4096),
    (re.compile(r"opus-4-7|sonnet-4-6|3-haiku|3-5-haiku"), 2048),
    (re.compile(r"(opus|fable|mythos)-5"), 512),
)
LEAST_TOKENS_OTHERWISE = 1024
"""The shortest prompt that is cached, by model. A shorter one is charged as if it were not marked."""
CHARACTERS_PER_TOKEN = 3
"""Fewer than English has, so that no prompt is left unmarked that is long enough: a mark too many costs nothing."""
MARK = {"type": "ephemeral"}

Block = dict[str, Any]


def marked(
    system: str, turns: Sequence[Message], model: str, repeated: bool
) -> tuple[str | list[Block], list[dict[str, Any]]]:
    """The system turn and the other turns in the API's form, with marks where they pay."""
    least = least_characters(model)
    length = len(system) + sum(len(turn["content"]) for turn in turns)
    plain: list[dict[str, Any]] = [dict(turn) for turn in turns]
    if repeated and turns and length >= least:
        plain[-1]["content"] = [_block(turns[-1]["content"])]
    return [_block(system)] if len(system) >= least else system, plain


def least_characters(model: str) -> int:
    """How long a prompt for this model must be to be cached, in characters."""
    tokens = next((least for pattern, least in LEAST_TOKENS if pattern.search(model)), LEAST_TOKENS_OTHERWISE)
    return tokens * CHARACTERS_PER_TOKEN


def _block(text: str) -> Block:
    return {"type": "text", "text": text, "cache_control": MARK}
