"""Scores: V and C with their intervals, as metrics.parquet and the decisions hold them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from llamaduo.storage.tables import Row

ALL_JUDGES = "mean"
"""What stands for the judge where a criterion is about the mean over the judges."""


@dataclass(frozen=True, order=True)
class Criterion:
    """What is measured: V (zeta None) or C at a zeta, of one metric."""

    metric: str
    statistic: str
    zeta: float | None

    @property
    def symbol(self) -> str:
        """V, or C with its zeta."""
        return "V" if self.zeta is None else f"C at ζ = {self.zeta:g}"


@dataclass(frozen=True)
class Score:
    """A value in 0..100 with its interval, and, where it comes from a decision, what it was held against."""

    criterion: Criterion
    judge: str
    value: float
    lower: float
    upper: float
    threshold: float | None = None
    passed: bool | None = None
    estimate: str | None = None
    prompts: int | None = None
    responses: int | None = None
    ungraded: int | None = None


def from_metrics(rows: Iterable[Row]) -> tuple[Score, ...]:
    """The scores in the rows of a metrics table."""
    return tuple(
        _score(row, prompts=row["prompts"], responses=row["responses"], ungraded=row["ungraded"]) for row in rows
    )


def from_decision(decision: Mapping[str, Any] | None) -> tuple[Score, ...]:
    """The scores that a decision rests on, with their thresholds."""
    criteria = decision["criteria"] if decision else ()
    return tuple(
        _score(row, threshold=row["threshold"], passed=row["passed"], estimate=row.get("estimate")) for row in criteria
    )


def _score(row: Mapping[str, Any], **further: Any) -> Score:
    return Score(_criterion(row), row["judge"], row["value"], row["lower"], row["upper"], **further)


def select(scores: Iterable[Score], criterion: Criterion, judge: str | None = None) -> list[Score]:
    """The scores of one criterion, by one judge or by all."""
    return [score for score in scores if score.criterion == criterion and judge in (None, score.judge)]


def by_judge(scores: Iterable[Score], judge: str, judges: Sequence[str]) -> list[Score]:
    """The scores by one judge; with `ALL_JUDGES`, the means over the judges where every judge has given one.

    The bounds of a mean are the means of the bounds, as in the decision: they err to the wide side.
    """
    if judge != ALL_JUDGES:
        return [score for score in scores if score.judge == judge]
    groups: dict[Criterion, list[Score]] = {}
    for score in scores:
        if score.judge in judges:
            groups.setdefault(score.criterion, []).append(score)
    return [_mean(group) for group in groups.values() if len(group) == len(judges)]


def _mean(group: Sequence[Score]) -> Score:
    value, lower, upper = (fmean(getattr(score, name) for score in group) for name in ("value", "lower", "upper"))
    return Score(group[0].criterion, ALL_JUDGES, value, lower, upper)


def _criterion(row: Mapping[str, Any]) -> Criterion:
    zeta = row.get("zeta")
    return Criterion(row["metric"], row["statistic"], None if zeta is None else float(zeta))
