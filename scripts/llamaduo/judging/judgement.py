"""A judge's answer as scores and reasons. The answer is untrusted text: what does not fit is asked for again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llamaduo.service.interface import Answer, Unacceptable
from llamaduo.storage.json_text import parse
from llamaduo.storage.text import storable


class MetricGrade(BaseModel):
    """One metric's part of an answer; keys beside these two are ignored."""

    model_config = ConfigDict(strict=True)

    score: float = Field(ge=0, le=100, allow_inf_nan=False)
    reason: str


@dataclass(frozen=True)
class Judgement:
    """One grade of one response: by metric a score, 0 to 100, and a reason. A refusal has neither, and says why."""

    scores: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    refusal: str | None = None


def read(answer: Answer, metrics: Sequence[str]) -> Judgement:
    """The judgement in an answer.

    A judge that is kept from answering by a filter or by the question's length is not asked again, since that would
    end in the same way. Raises `Unacceptable` when it refuses, which it may not do the next time, and for everything
    else that is not one object with a score, a number from 0 to 100, and a reason for each metric.
    """
    if answer.stop_reason == "filtered" or answer.not_begun:
        said = answer.detail or answer.text.strip()
        return Judgement(refusal=f"{answer.stop_reason}: {said}" if said else answer.stop_reason)
    if answer.stop_reason == "refusal":
        raise Unacceptable(answer.text.strip() or answer.detail or "no reason is given")
    parts = _parse(answer.text)
    grades = {name: _grade(name, parts) for name in metrics}
    return Judgement(
        scores={name: grade.score for name, grade in grades.items()},
        reasons={name: storable(grade.reason) for name, grade in grades.items()},
    )


def _parse(text: str) -> dict[str, Any]:
    try:
        value = parse(text)
    except ValueError as error:
        raise Unacceptable(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Unacceptable(f"not a JSON object but {type(value).__name__}")
    return value


def _grade(metric: str, parts: dict[str, Any]) -> MetricGrade:
    if metric not in parts:
        raise Unacceptable(f"the metric {metric!r} is missing")
    try:
        return MetricGrade.model_validate(parts[metric])
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join((metric, *(str(part) for part in problem["loc"])))
        raise Unacceptable(f"{key}: {problem['msg']}") from error
