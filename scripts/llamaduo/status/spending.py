"""What has been spent: by steps that have ended, as their tables of costs tell, and by others, as their journals do.

A step's table and its journal have the same place below their folders, so places tell what money was spent on.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from llamaduo.config.root import TUNED_ELSEWHERE, WITHOUT_GENERATOR
from llamaduo.report.plan import RunName
from llamaduo.report.reading import Reader
from llamaduo.service.budget.usage import Usage, total
from llamaduo.service.journal.reading import read_records
from llamaduo.storage.schemas.costs import COSTS
from llamaduo.workflow.layout import cost_tables

OF_RUNS, POOL, VOLUME_0, BASELINES = "grades of the runs above", "pool", "grades of volume 0", "baselines"
OTHERS = "runs that are not in the config"
IN_ORDER = (OF_RUNS, POOL, VOLUME_0, BASELINES, OTHERS)


@dataclass(frozen=True)
class Spent:
    """What one step has spent. `place`: that of its table of costs and of its journal, below their folders."""

    place: str
    usage: Usage
    has_ended: bool


def read_spent(reader: Reader, journals: Path) -> list[Spent]:
    """What every step has spent that has a table of costs or a journal."""
    tables = dict(cost_tables(reader.layout))
    found = [Spent(place, total(map(Usage.of_row, reader.rows(path, COSTS))), True) for place, path in tables.items()]
    for place, path in _files(journals, ".jsonl").items():
        if place not in tables:
            usage = Usage()
            for record in read_records(path):
                usage.add(record.answer, record.attempt, record.is_simulated)
            found.append(Spent(place, usage, False))
    return found


def of_run(spent: Iterable[Spent], run: RunName) -> Usage:
    """What the grades of a run's own cycles did cost; its pool, volume 0 and the baselines serve other runs too."""
    return total(one.usage for one in spent if one.place.startswith(_place_of(run)))


def spending_table(spent: Sequence[Spent], runs: Sequence[RunName]) -> str:
    """What was spent on what, and the total; empty where nothing was spent. `runs`: those of the config."""
    own = tuple(map(_place_of, runs))
    sums: dict[tuple[str, str], Usage] = {}
    for one in spent:
        purpose = _purpose(one.place, own)
        sums[purpose] = sums.get(purpose, Usage()) + one.usage
    rows = [
        [f"{what}: {about}" if about else what, shown(sums[what, about])]
        for what, about in sorted(sums, key=lambda purpose: (IN_ORDER.index(purpose[0]), purpose[1]))
    ]
    whole = total(sums.values())
    going_on = total(one.usage for one in spent if not one.has_ended)
    if not whole.is_charged:
        return ""
    rows.append(["total", whole.money])
    if going_on.is_charged:
        rows.append(["of it by steps that have not ended", going_on.money])
    return tabulate(rows, ["spent on", "dollars"], disable_numparse=True)


def shown(usage: Usage) -> str:
    """The dollars, simulated ones labelled, `?` for unknown ones; nothing where nothing was spent."""
    return usage.money if usage.is_charged else ""


def _purpose(place: str, runs: tuple[str, ...]) -> tuple[str, str]:
    """What a step was done for: one of `IN_ORDER`, and for which runs."""
    if place.startswith(runs):
        return OF_RUNS, ""
    match place.split("/"):
        case "synthesis", task, generator, _:
            return POOL, f"{task} / {generator}"
        case ("baselines", task, _) | ("judging", "baselines", task, _, _):
            return BASELINES, task
        case "judging", "runs", task, generator, *_ if generator == WITHOUT_GENERATOR:
            return VOLUME_0, task
    return OTHERS, ""


def _place_of(run: RunName) -> str:
    if run.generator == TUNED_ELSEWHERE:
        return f"judging/baselines/{run.task}/{run.model}/"
    return f"judging/runs/{run.task}/{run.generator}/{run.model}/"


def _files(folder: Path, suffix: str) -> dict[str, Path]:
    """The files below a folder, by their places."""
    found = sorted(folder.rglob(f"*{suffix}"))
    return {path.relative_to(folder).as_posix().removesuffix(suffix): path for path in found}
