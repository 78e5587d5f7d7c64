"""The report as one HTML page: self-contained, escaped, and the same bytes for the same results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from llamaduo.report import funnel_plot, score_plot
from llamaduo.report.baselines import Baseline
from llamaduo.report.calls import read_calls
from llamaduo.report.costs import read_costs
from llamaduo.report.curves import ScoreFigure, figures
from llamaduo.report.cycles import Cycle
from llamaduo.report.examples import read_examples
from llamaduo.report.plan import Plan
from llamaduo.report.pool_cycles import read_diversity, read_pool_cycles
from llamaduo.report.pools import Pool, read_pools, stages_of
from llamaduo.report.reading import Reader
from llamaduo.report.results import Results, read_results
from llamaduo.report.runs import Run
from llamaduo.report.scores import ALL_JUDGES, Criterion, Score
from llamaduo.report.summary import Entry, criteria, entries, verdict_in_words
from llamaduo.service.budget.usage import total
from llamaduo.workflow.layout import State

TEMPLATE = "page.html.jinja"
VERDICTS = ("converged", "exhausted", "unfinished", "not started")


@dataclass(frozen=True)
class ScorePlot:
    """A plot of scores with its numbers; further judges' plots are folded away beneath the first of a metric."""

    figure: ScoreFigure
    svg: Markup
    folded: bool


@dataclass(frozen=True)
class DecisionPath:
    """The decisions of one run: per cycle, the score of each criterion (None: not decided by it)."""

    run: Run
    columns: Sequence[tuple[Criterion, str]]
    rows: Sequence[tuple[Cycle, Sequence[Score | None]]]


def render(results_folder: Path, plan: Plan, state: Path | None) -> str:
    """The page about whatever exists under a results folder; `state` holds the journals."""
    reader = Reader(results_folder)
    results = read_results(reader, plan)
    pools, without_pool = read_pools(reader, plan)
    calls = read_calls(reader, plan, State(state).journals) if state is not None else []
    examples = [example for run in results.runs for example in read_examples(reader, plan, run)]
    template = _environment().get_template(TEMPLATE)
    return template.render(
        plan=plan,
        runs=results.runs,
        counts=[(verdict, sum(run.verdict == verdict for run in results.runs)) for verdict in VERDICTS],
        columns=criteria(plan, ""),
        summary=[(run, _summary(results, run)) for run in results.runs],
        simulated=plan.simulated(_services_used(plan)),
        plots=_score_plots(results),
        baselines=_baseline_rows(results),
        zetas=[None, *plan.zeta],
        paths=[_path(run) for run in results.runs if run.cycles],
        pools=pools,
        pool_cycles=read_pool_cycles(reader, plan, pools),
        diversity=read_diversity(reader, pools),
        stages=stages_of(pools),
        reasons=list(dict.fromkeys(reason for pool in pools for reason in pool.reasons)),
        funnel=_funnel(plan, pools),
        calls=calls,
        usage=total(each.usage for each in calls),
        costs=read_costs(reader),
        deployed=[run for run in results.runs if run.deployment],
        examples=examples,
        missing=_missing(results, without_pool, reader.problems),
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "count": _count,
        "score": _score,
        "symbol": _symbol,
        "verdict": verdict_in_words,
        "date": _date,
        "plain": _plain,
        "usd": _usd,
    }
    environment.globals |= {"ALL_JUDGES": ALL_JUDGES}
    return environment


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def _symbol(criterion: Criterion) -> str:
    return criterion.symbol


def _date(moment: str | None) -> str:
    """An ISO 8601 moment to the minute."""
    return moment[:16].replace("T", " ") if moment else "–"


def _plain(value: str | float | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _usd(dollars: float) -> str:
    """US dollars to the cent, or further where there is less than one."""
    return f"{dollars:,.2f}" if dollars >= 1 or not dollars else f"{dollars:.4f}"


def _services_used(plan: Plan) -> list[str]:
    used = [name for task in plan.tasks.values() for name in (*task.generators, *task.baseline_services)]
    return [*used, *plan.judges]


def _summary(results: Results, run: Run) -> list[tuple[str, list[list[Entry]]]]:
    """Per metric, the entries of V and of C."""
    return [
        (metric, [entries(results, run, criterion) for criterion in criteria(results.plan, metric)])
        for metric in results.plan.metrics
    ]


def _baseline_rows(results: Results) -> list[tuple[Baseline, str, str, dict[float | None, Score]]]:
    """A row per baseline, judge and metric, with V (under None) and C by zeta."""
    rows = []
    for baseline in results.baselines:
        groups: dict[tuple[str, str], dict[float | None, Score]] = {}
        for score in baseline.scores:
            groups.setdefault((score.judge, score.criterion.metric), {})[score.criterion.zeta] = score
        rows += [(baseline, judge, metric, scores) for (judge, metric), scores in groups.items()]
    return rows


def _score_plots(results: Results) -> list[ScorePlot]:
    first: set[tuple[str, str]] = set()
    plots = []
    for number, figure in enumerate(figures(results)):
        if figure.is_empty:
            continue
        svg = score_plot.draw(figure, list(results.plan.models), f"scores-{number}")
        plots.append(ScorePlot(figure, Markup(svg), (figure.task, figure.metric) in first))  # noqa: S704 (escaped)
        first.add((figure.task, figure.metric))
    return plots


def _funnel(plan: Plan, pools: Sequence[Pool]) -> Markup:
    drawn = [pool for pool in pools if pool.generated]
    if not drawn:
        return Markup("")
    simulated = plan.simulated(pool.generator for pool in drawn)
    return Markup(funnel_plot.draw(drawn, simulated, "funnel"))  # noqa: S704 (escaped by the SVG writer)


def _path(run: Run) -> DecisionPath:
    columns = list(dict.fromkeys((score.criterion, score.judge) for cycle in run.cycles for score in cycle.criteria))
    rows = []
    for cycle in run.cycles:
        found = {(score.criterion, score.judge): score for score in cycle.criteria}
        rows.append((cycle, [found.get(column) for column in columns]))
    return DecisionPath(run, columns, rows)


def _missing(
    results: Results, without_pool: Sequence[tuple[str, str]], problems: Sequence[str]
) -> list[tuple[str, str]]:
    """What is not there, as pairs of where and what."""
    found = [(str(run.name), what) for run in results.runs for what in run.missing]
    found += [
        (f"{baseline.task} / {baseline.name}", f"no scores of the {baseline.kind} baseline")
        for baseline in results.baselines
        if not baseline.scores
    ]
    found += [(f"{task} / {generator}", "no pool of synthetic samples") for task, generator in without_pool]
    return found + [("unreadable", problem) for problem in problems]
