"""What the simulated service answers, apart from how it is asked: the same for single calls and batches."""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from llamaduo.config.simulation import Simulation
from llamaduo.models.messages import as_text
from llamaduo.simulated.conversation import Conversation
from llamaduo.simulated.faults import answer_fault, break_json
from llamaduo.simulated.prompt_cache import Use
from llamaduo.simulated.reply import Reply, count_tokens, cut
from llamaduo.simulated.roles import respond
from llamaduo.storage.canonical import canonical

FIXED = "This is the fixed answer of a simulated service."


@dataclass(frozen=True)
class Answered:
    """The replies to one request, and the role in which they were given."""

    role: str
    replies: tuple[Reply, ...]

    @property
    def tokens(self) -> int:
        """What counts towards a limit of tokens."""
        return self.replies[0].prompt_tokens + sum(reply.completion_tokens for reply in self.replies)


def answer(asked: Conversation, simulation: Simulation, use: Use = Use()) -> Answered:  # noqa: B008
    """As many replies as samples were asked for: a function of what was asked, of the replicates and the seed."""
    prompt_tokens = count_tokens(as_text(asked.messages))
    role, replies = "fixed", []
    for number in range(asked.samples):
        one = asked.sample(number)
        if simulation.reply == "fixed":
            text = _example(canonical(asked.schema)) if asked.schema is not None else FIXED
        else:
            role, text = respond(one)
        reply = _reply(one, text, prompt_tokens, simulation)
        replies.append(replace(reply, cached_tokens=use.read, cache_write_tokens=use.written))
    return Answered(role, tuple(replies))


def _reply(asked: Conversation, text: str, prompt_tokens: int, simulation: Simulation) -> Reply:
    fault = answer_fault(simulation.faults, asked)
    if fault == "refusal":
        return Reply("", "refusal", prompt_tokens, 0)
    if fault == "truncated":
        return cut(text, prompt_tokens, min(asked.most_tokens or count_tokens(text), max(1, count_tokens(text) // 2)))
    return cut(break_json(text) if fault else text, prompt_tokens, asked.most_tokens)


@lru_cache(maxsize=64)
def _example(schema: str) -> str:
    """A text that fits a schema of objects, lists, strings and numbers."""
    return json.dumps(_value(json.loads(schema)))


def _value(schema: dict[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "object":
        return {name: _value(inner) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [_value(schema.get("items", {}))]
    return {"number": 50, "integer": 50, "boolean": True}.get(str(kind), FIXED)
