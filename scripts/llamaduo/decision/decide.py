"""The checkpoint's verdict after a cycle: has the local LLM come close enough to the service LLM, and what is next."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any, Literal

from llamaduo.cli.errors import InputError
from llamaduo.config.decision import DecisionSettings, Epsilon, ShareOfService, Threshold
from llamaduo.storage.tables import Row

Verdict = Literal["converged", "expand", "exhausted"]
Key = tuple[str, str, float | None, str]

OVER_JUDGES = "mean"
"""Stands for the judge where a criterion is about the mean over the judges."""
ROUNDING = 1e-9
"""What a value may miss its threshold by: a share of 100 % of a value is that value, whatever the last bit says."""
SHARE_OF_NOTHING = "the service itself scores 0, so that a share of it means nothing: set an absolute decision.epsilon"


@dataclass(frozen=True)
class Criterion:
    """One comparison: a statistic of a metric by a judge, or by the mean of all judges, with its threshold.

    Values, bounds and threshold are 0 to 100 (a threshold above 100 can come from a share above 100 %). `service` is
    the service LLM's own value where `epsilon` is a share of it. A share of 0 is 0, which says nothing about the local
    LLM: where the service's own value is 0, the criterion is not passed, and `note` says why.
    """

    metric: str
    statistic: str
    zeta: float | None
    judge: str
    value: float
    lower: float
    upper: float
    epsilon: dict[str, float]
    service: float | None
    threshold: float
    estimate: Literal["point", "lower"]
    passed: bool
    note: str | None


@dataclass(frozen=True)
class Cycle:
    """Which cycle a decision is about, and whether a larger volume is left after it."""

    task: str
    generator: str
    model: str
    volume: int | None
    number: int
    last: bool


def decide(
    cycle: Cycle, metrics: Sequence[Row], service: Sequence[Row] | None, settings: DecisionSettings
) -> dict[str, Any]:
    """The decision after a cycle whose responses were graded.

    Converged when every criterion is passed (of `judges: any`: every criterion of one judge); otherwise expand, or
    exhausted, with the reason "volumes", when the cycle is the last.

    Args:
        cycle: which one.
        metrics: rows of `METRICS` of the run's responses.
        service: the same of the service LLM's own responses, by the same judges; may be None where no threshold is
            a share of the service's own.
        settings: the thresholds, and what is compared with them.

    Raises:
        InputError: a metric, zeta or judge that the settings need is not among the rows.
    """
    by_judge = criteria(metrics, service, settings)
    shown = [_over_judges(group) for group in _groups(by_judge)] if settings.judges == "mean" else by_judge
    if converged(shown, settings):
        return _decision(cycle, settings, verdict="converged", found=shown)
    if cycle.last:
        return _decision(
            cycle, settings, verdict="exhausted", found=shown, reason="volumes", advice=_advice(cycle, shown)
        )
    advice = next((f"{_symbol(one)} of {one.metric} ({one.judge}): {one.note}" for one in shown if one.note), None)
    return _decision(cycle, settings, verdict="expand", found=shown, advice=advice)


def decide_shortfall(cycle: Cycle, pool: Mapping[str, Any], settings: DecisionSettings) -> dict[str, Any]:
    """The decision on a cycle that cannot be trained: the pool ran out before its volume was reached.

    `pool` is what `measure_pool.py` found: volume, accepted, generated, yield, advice.
    """
    decision = _decision(cycle, settings, verdict="exhausted", found=[], reason="yield", advice=pool.get("advice"))
    return {**decision, "pool": {key: pool.get(key) for key in ("volume", "chunks", "accepted", "generated", "yield")}}


def criteria(metrics: Sequence[Row], service: Sequence[Row] | None, settings: DecisionSettings) -> list[Criterion]:
    """All comparisons that the settings ask for, metric by metric, each judge by itself."""
    own = {_key(row): row for row in metrics}
    services = None if service is None else {_key(row): row for row in service}
    judges = list(dict.fromkeys(row["judge"] for row in metrics))
    names = list(dict.fromkeys(row["metric"] for row in metrics))
    for name in settings.per_metric:
        if name not in names:
            raise InputError(f"decision.per_metric: {name!r} is not graded; the metrics are {', '.join(names)}")
    wanted: list[tuple[str, str, float | None, Threshold]] = []
    for name in names:
        epsilon: Epsilon = settings.per_metric.get(name, settings.epsilon)
        if epsilon.mean is not None:
            wanted.append((name, "mean", None, epsilon.mean))
        if epsilon.coverage is not None:
            wanted.append((name, "coverage", settings.zeta, epsilon.coverage))
    if not wanted:
        raise InputError("decision.epsilon: no metric that is graded has a threshold; at least one must")
    return [
        _criterion((metric, statistic, zeta, judge), threshold, own, services, settings)
        for metric, statistic, zeta, threshold in wanted
        for judge in judges
    ]


def converged(found: Sequence[Criterion], settings: DecisionSettings) -> bool:
    """Whether the criteria add up to convergence."""
    if settings.judges != "any":
        return all(criterion.passed for criterion in found)
    return any(
        all(criterion.passed for criterion in found if criterion.judge == judge)
        for judge in {criterion.judge for criterion in found}
    )


def _criterion(
    key: Key, epsilon: Threshold, own: Mapping[Key, Row], services: Mapping[Key, Row] | None, settings: DecisionSettings
) -> Criterion:
    row = _find(own, key, "the run's metrics")
    service = None
    if isinstance(epsilon, ShareOfService):
        if services is None:
            raise InputError("decision.epsilon: a share of the service's own value needs --service-metrics")
        service = _find(services, key, "the service's metrics")["value"]
        threshold, spelt = service * epsilon.share_of_service / 100, {"share_of_service": epsilon.share_of_service}
    else:
        threshold, spelt = epsilon, {"absolute": epsilon}
    metric, statistic, zeta, judge = key
    compared = row["lower"] if settings.estimate == "lower" else row["value"]
    return Criterion(
        metric=metric,
        statistic=statistic,
        zeta=zeta,
        judge=judge,
        value=row["value"],
        lower=row["lower"],
        upper=row["upper"],
        epsilon=spelt,
        service=service,
        threshold=threshold,
        estimate=settings.estimate,
        passed=_passed(compared, threshold, service),
        note=_note(service),
    )


def _passed(compared: float, threshold: float, service: float | None) -> bool:
    return service != 0 and compared >= threshold - ROUNDING


def _note(service: float | None) -> str | None:
    return SHARE_OF_NOTHING if service == 0 else None


def _find(rows: Mapping[Key, Row], key: Key, where: str) -> Row:
    if key in rows:
        return rows[key]
    metric, statistic, zeta, judge = key
    if zeta is not None and (held := {other for _, _, other, _ in rows if other is not None}):
        zetas = ", ".join(f"{other:g}" for other in sorted(held))
        if zeta not in held:
            raise InputError(f"decision.zeta: {zeta:g} is not in {where}, which have zeta {zetas}")
    at = "" if zeta is None else f" at zeta {zeta:g}"
    raise InputError(f"{where} have no {statistic}{at} of {metric} by the judge {judge}")


def _groups(found: Sequence[Criterion]) -> list[list[Criterion]]:
    """The criteria that differ in the judge only."""
    groups: dict[tuple[str, str], list[Criterion]] = {}
    for criterion in found:
        groups.setdefault((criterion.metric, criterion.statistic), []).append(criterion)
    return list(groups.values())


def _over_judges(group: Sequence[Criterion]) -> Criterion:
    """The mean over the judges, of the values and of the thresholds.

    The bounds are the means of the judges' bounds. The judges grade the same responses, so their errors go together
    and hardly cancel: the mean of the bounds errs to the wide side.
    """
    first = group[0]
    value, lower, upper, threshold = (
        fmean(getattr(criterion, name) for criterion in group) for name in ("value", "lower", "upper", "threshold")
    )
    services = [criterion.service for criterion in group if criterion.service is not None]
    service = fmean(services) if services else None
    compared = lower if first.estimate == "lower" else value
    return Criterion(
        metric=first.metric,
        statistic=first.statistic,
        zeta=first.zeta,
        judge=OVER_JUDGES,
        value=value,
        lower=lower,
        upper=upper,
        epsilon=first.epsilon,
        service=service,
        threshold=threshold,
        estimate=first.estimate,
        passed=_passed(compared, threshold, service),
        note=_note(service),
    )


def _decision(
    cycle: Cycle,
    settings: DecisionSettings,
    *,
    verdict: Verdict,
    found: Sequence[Criterion],
    reason: Literal["volumes", "yield"] | None = None,
    advice: str | None = None,
) -> dict[str, Any]:
    return {
        "task": cycle.task,
        "generator": cycle.generator,
        "model": cycle.model,
        "volume": cycle.volume,
        "cycle": cycle.number,
        "verdict": verdict,
        "reason": reason,
        "advice": advice,
        "criteria": [asdict(criterion) for criterion in found],
        "settings": settings.model_dump(mode="json"),
    }


def _advice(cycle: Cycle, found: Sequence[Criterion]) -> str:
    missed = "; ".join(
        f"{_symbol(criterion)} of {criterion.metric} ({criterion.judge}): "
        f"{criterion.lower if criterion.estimate == 'lower' else criterion.value:.1f}, "
        f"{criterion.note or f'needed {criterion.threshold:.1f}'}"
        for criterion in found
        if not criterion.passed
    )
    more = f"add a larger volume to tasks.{cycle.task}.volumes, change the training, or lower decision.epsilon"
    return f"missed: {missed}. What would help: {more}"


def _symbol(criterion: Criterion) -> str:
    return "V" if criterion.zeta is None else f"C at zeta {criterion.zeta:g}"


def _key(row: Row) -> Key:
    return row["metric"], row["statistic"], row["zeta"], row["judge"]
