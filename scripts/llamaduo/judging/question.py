"""What a judge is asked about one response, and the JSON schema of its answer."""

import json
from collections.abc import Sequence
from typing import Any

from llamaduo.models.messages import Message
from llamaduo.service.prompts import JudgePrompts, render, tagged

MATERIAL = ("instruction", "reference", "response")
"""The tags around what is to be graded."""


def answer_schema(prompts: JudgePrompts) -> dict[str, Any]:
    """JSON schema of one judgement: for each metric a reason and, following from it, a score.

    The range 0 to 100 is told in words and checked on arrival: not every vendor takes numeric bounds in a schema.
    """
    return _object({name: _judgement(text) for name, text in prompts.metrics.items()})


def question(prompts: JudgePrompts, instruction: str, reference: str, response: str) -> tuple[Message, ...]:
    """The turns that ask a judge to grade `response`, by every metric that `prompts` holds."""
    material = dict(zip(MATERIAL, (instruction, reference, response), strict=True))
    values = {
        **{tag: tagged(tag, text, MATERIAL) for tag, text in material.items()},
        "metrics": "\n".join(f"- {name}: {' '.join(text.split())}" for name, text in prompts.metrics.items()),
        "form": _form(list(prompts.metrics)),
    }
    user = Message(role="user", content=render(prompts.user, values))
    system = render(prompts.system, values)
    return (Message(role="system", content=system), user) if system else (user,)


def _judgement(text: str) -> dict[str, Any]:
    reason = {"type": "string", "description": "one or two sentences"}
    score = {"type": "number", "description": "0 (worst) to 100 (best)"}
    return {**_object({"reason": reason, "score": score}), "description": " ".join(text.split())}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _form(metrics: Sequence[str]) -> str:
    return json.dumps({name: {"reason": "one or two sentences", "score": "0 to 100, a number"} for name in metrics})
