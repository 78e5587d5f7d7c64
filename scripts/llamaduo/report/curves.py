"""What the plots of scores against volume show: one figure per task, metric and judge, as plain values."""

from collections.abc import Iterable
from dataclasses import dataclass

from llamaduo.report.results import Results
from llamaduo.report.runs import Run
from llamaduo.report.scores import ALL_JUDGES, Criterion, Score, by_judge, select


@dataclass(frozen=True)
class Curve:
    """The scores of one model: at each volume, and as it came (untuned, or tuned elsewhere)."""

    model: str
    points: tuple[tuple[int, Score], ...]
    untuned: Score | None


@dataclass(frozen=True)
class Panel:
    """One criterion of the runs of one generator; service and threshold where they are known."""

    criterion: Criterion
    generator: str
    curves: tuple[Curve, ...]
    service: Score | None
    threshold: float | None

    @property
    def is_empty(self) -> bool:
        """Whether no model has a score here."""
        return not any(curve.points or curve.untuned for curve in self.curves)


@dataclass(frozen=True)
class ScoreFigure:
    """All panels of one task and metric by one judge, or by the mean over the judges.

    `rows`: per generator, the panels of V and of C at each zeta; `reference`: the service LLM that must be matched;
    `simulated`: the services among generators, judges and reference that are simulated.
    """

    task: str
    metric: str
    judge: str
    reference: str
    volumes: tuple[int, ...]
    rows: tuple[tuple[Panel, ...], ...]
    simulated: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to plot."""
        return all(panel.is_empty for row in self.rows for panel in row)


def figures(results: Results) -> list[ScoreFigure]:
    """The figures of every task and metric: over the judges first where there are several, then by judge."""
    plan = results.plan
    return [
        _figure(results, name, metric, judge)
        for name, task in plan.tasks.items()
        for metric in plan.metrics
        for judge in ([ALL_JUDGES, *task.judges] if len(task.judges) > 1 else task.judges)
    ]


def _figure(results: Results, name: str, metric: str, judge: str) -> ScoreFigure:
    plan, task = results.plan, results.plan.tasks[name]
    criteria = [Criterion(metric, "mean", None), *(Criterion(metric, "coverage", zeta) for zeta in plan.zeta)]
    rows = tuple(
        tuple(_panel(results, name, generator, criterion, judge) for criterion in criteria)
        for generator in task.generators
    )
    volumes = {volume for row in rows for panel in row for curve in panel.curves for volume, _ in curve.points}
    asked = task.judges if judge == ALL_JUDGES else (judge,)
    simulated = plan.simulated([*task.generators, *asked, task.reference])
    return ScoreFigure(
        task=name,
        metric=metric,
        judge=judge,
        reference=task.reference,
        volumes=tuple(sorted(volumes | set(task.volumes))),
        rows=rows,
        simulated=tuple(simulated),
    )


def _panel(results: Results, task: str, generator: str, criterion: Criterion, judge: str) -> Panel:
    judges = results.plan.tasks[task].judges

    def one(scores: Iterable[Score]) -> Score | None:
        return next(iter(select(by_judge(scores, judge, judges), criterion)), None)

    runs = [run for run in results.runs if (run.name.task, run.name.generator) == (task, generator)]
    cycles = {run.name.model: run.cycles for run in runs}
    curves = []
    for model in results.plan.models:
        scores = [(cycle.volume, one(cycle.scores)) for cycle in cycles.get(model, ())]
        points = tuple((volume, score) for volume, score in scores if volume is not None and score is not None)
        curves.append(Curve(model, points, one(results.as_it_came(task, model))))
    return Panel(
        criterion=criterion,
        generator=generator,
        curves=tuple(curves),
        service=one(results.of_reference(task)),
        threshold=_threshold(runs, criterion, judge if len(judges) > 1 else None),
    )


def _threshold(runs: Iterable[Run], criterion: Criterion, judge: str | None) -> float | None:
    """What the decisions held a criterion to; over the judges there is one only where they decided by the mean."""
    decided = [score for run in runs for cycle in run.cycles for score in select(cycle.criteria, criterion, judge)]
    return next((score.threshold for score in decided if score.threshold is not None), None)
