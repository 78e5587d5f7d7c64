"""What a generator is asked: the seeds, the topic, and how many pairs to write."""

from collections.abc import Sequence
from typing import Any

from llamaduo.models.messages import Message, as_text, response
from llamaduo.service.prompts import PromptText, render, tagged
from llamaduo.synthesis.seeds import SeedRow

TAGS = ("seed", "system", "earlier_turns", "instruction", "response", "topic", "count")

_TEXT = {"type": "string"}
_PAIR = {
    "type": "object",
    "properties": {"instruction": _TEXT, "response": _TEXT},
    "required": ["instruction", "response"],
    "additionalProperties": False,
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"pairs": {"type": "array", "items": _PAIR}},
    "required": ["pairs"],
    "additionalProperties": False,
}
"""The JSON that a generator answers with."""


def generator_turns(prompts: PromptText, seeds: Sequence[SeedRow], topic: str, count: int) -> tuple[Message, ...]:
    """The turns of one call. What stands in the seeds cannot close the tags it is put between."""
    values = {
        "seeds": "\n".join(_shown(row["messages"]) for row in seeds),
        "topic": tagged("topic", topic, TAGS),
        "count": tagged("count", str(count)),
    }
    turns = [Message(role="user", content=render(prompts.user, values))]
    if prompts.system:
        turns.insert(0, Message(role="system", content=render(prompts.system, values)))
    return tuple(turns)


def _shown(messages: Sequence[Message]) -> str:
    """A seed: its system turn and earlier turns, where it has them, its last instruction and its response."""
    start = 1 if messages[0]["role"] == "system" else 0
    *earlier, last = messages[start:-1]
    parts = [tagged("system", messages[0]["content"], TAGS)] if start else []
    if earlier:
        parts.append(tagged("earlier_turns", as_text(earlier), TAGS))
    parts.append(tagged("instruction", last["content"], TAGS))
    parts.append(tagged("response", response(messages), TAGS))
    return tagged("seed", "\n".join(parts))
