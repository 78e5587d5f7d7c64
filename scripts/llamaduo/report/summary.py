"""The summary of all runs: one row each, for the page and for the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from llamaduo.report.plan import Plan
from llamaduo.report.results import Results
from llamaduo.report.runs import Run
from llamaduo.report.scores import ALL_JUDGES, Criterion, Score, by_judge, select


@dataclass(frozen=True)
class Entry:
    """One score of a run's last cycle, beside what it is compared with (None: not known)."""

    judge: str
    score: Score
    service: float | None
    untuned: float | None


def criteria(plan: Plan, metric: str) -> list[Criterion]:
    """What the summary shows of a metric: V, and C at the zeta of the decision."""
    return [Criterion(metric, "mean", None), Criterion(metric, "coverage", plan.decision.zeta)]


def entries(results: Results, run: Run, criterion: Criterion) -> list[Entry]:
    """The scores of a run's last cycle: those that its decision rests on, or where it has none, those by each judge."""
    if run.last is None:
        return []
    plan, decided = results.plan, select(run.last.criteria, criterion)
    judges = plan.tasks[run.name.task].judges
    measured = by_judge(run.last.scores, ALL_JUDGES if len(judges) > 1 else "".join(judges), judges)
    service = results.of_reference(run.name.task)
    untuned = () if run.tuned_elsewhere else results.as_it_came(run.name.task, run.name.model)
    return [
        Entry(score.judge, score, _value(service, score, judges), _value(untuned, score, judges))
        for score in decided or select(measured, criterion)
    ]


def terminal_table(results: Results) -> str:
    """The summary as text, one row per run with a line per metric, and notes on how to read it."""
    plan = results.plan
    columns = [_header(criterion) for criterion in criteria(plan, "")]
    rows = [
        [
            run.name.task,
            _marked(plan, run.name.generator),
            run.name.model,
            verdict_in_words(run),
            "" if run.volume is None else f"{run.volume:,}",
            run.trained or "",
            *("\n".join(lines) for lines in zip(*_score_lines(results, run), strict=True)),
        ]
        for run in results.runs
    ]
    headers = ["task", "generator", "model", "verdict", "volume", "cycles", "metric", *columns]
    align = ["left"] * 4 + ["right"] * 2 + ["left"] * (1 + len(columns))
    table = tabulate(rows, headers, tablefmt="simple", colalign=align, disable_numparse=True)
    return "\n".join([table, "", *_notes(plan)])


def _score_lines(results: Results, run: Run) -> list[list[str]]:
    """Lines of the name of a metric (and a judge, where they decide one by one), V and C."""
    lines = []
    single = len(results.plan.tasks[run.name.task].judges) == 1
    for metric in results.plan.metrics:
        columns = [
            {ALL_JUDGES if single else entry.judge: _line(entry) for entry in entries(results, run, criterion)}
            for criterion in criteria(results.plan, metric)
        ]
        for judge in dict.fromkeys(judge for column in columns for judge in column) or [ALL_JUDGES]:
            name = metric if judge == ALL_JUDGES else f"{metric} ({judge})"
            lines.append([name, *(column.get(judge, "") for column in columns)])
    return lines


def verdict_in_words(run: Run) -> str:
    """The verdict with its reason, where it has one."""
    return f"{run.verdict} ({run.reason})" if run.reason else run.verdict


def _notes(plan: Plan) -> list[str]:
    over = ", mean over the judges unless one is named" if len(plan.judges) > 1 else ""
    notes = [f"V and C: value [{plan.confidence:g} % interval] >= or < threshold (the service LLM's own value){over}"]
    simulated = plan.simulated([*(name for task in plan.tasks.values() for name in task.generators), *plan.judges])
    if simulated:
        notes.append(f"* SIMULATED services: {', '.join(simulated)}; these scores say nothing about any real LLM")
    return notes


def _line(entry: Entry) -> str:
    score = entry.score
    against = "" if score.threshold is None else f" {'>=' if score.passed else '< '} {score.threshold:.1f}"
    service = "" if entry.service is None else f" ({entry.service:.1f})"
    return f"{score.value:.1f} [{score.lower:.1f}, {score.upper:.1f}]{against}{service}"


def _header(criterion: Criterion) -> str:
    return "V" if criterion.zeta is None else f"C at zeta {criterion.zeta:g}"


def _marked(plan: Plan, service: str) -> str:
    return f"{service}*" if plan.simulated([service]) else service


def _value(scores: Sequence[Score], like: Score, judges: Sequence[str]) -> float | None:
    found = select(by_judge(scores, like.judge, judges), like.criterion)
    return found[0].value if found else None
