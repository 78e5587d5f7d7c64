"""What has been spent: by steps that have ended, as their tables of costs tell, and by others, as their journals do.

A step's table and its journal have the same place below their folders, so places tell what money was spent on.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from llamaduo.config.root import TUNED_ELSEWHERE, WITHOUT_GENERATOR
from llamaduo.estimate.table import money
from llamaduo.report.plan import RunName
from llamaduo.report.reading import Reader
from llamaduo.storage.schemas.costs import COSTS

OF_RUNS, POOL, VOLUME_0, BASELINES = "grades of the runs above", "pool", "grades of volume 0", "baselines"
OTHERS = "runs that are not in the config"
IN_ORDER = (OF_RUNS, POOL, VOLUME_0, BASELINES, OTHERS)


@dataclass(frozen=True)
class Spending:
    """US dollars; those of simulated services apart, which charge nobody.

    `unpriced`: answers of real services whose price was not known.
    """

    dollars: float = 0.0
    simulated: float = 0.0
    unpriced: int = 0

    def __add__(self, other: "Spending") -> "Spending":
        return Spending(self.dollars + other.dollars, self.simulated + other.simulated, self.unpriced + other.unpriced)

    def __str__(self) -> str:
        """The dollars, simulated ones labelled, `?` for unknown ones; nothing where nothing was spent."""
        return money(self.dollars, self.simulated, bool(self.unpriced)) if self != Spending() else ""


@dataclass(frozen=True)
class Spent:
    """What one step has spent. `place`: that of its table of costs and of its journal, below their folders."""

    place: str
    spending: Spending
    has_ended: bool


def read_spent(reader: Reader, journals: Path) -> list[Spent]:
    """What every step has spent that has a table of costs or a journal."""
    tables = _files(reader.results / "costs", ".parquet")
    found = [Spent(place, total(map(_of_row, reader.rows(path, COSTS))), True) for place, path in tables.items()]
    for place, path in _files(journals, ".jsonl").items():
        if place not in tables:
            found.append(Spent(place, total(map(_of_record, _records(path))), False))
    return found


def total(spendings: Iterable[Spending]) -> Spending:
    """The sum of spendings."""
    return sum(spendings, Spending())


def of_run(spent: Iterable[Spent], run: RunName) -> Spending:
    """What the grades of a run's own cycles did cost; its pool, volume 0 and the baselines serve other runs too."""
    return total(one.spending for one in spent if one.place.startswith(_place_of(run)))


def spending_table(spent: Sequence[Spent], runs: Sequence[RunName]) -> str:
    """What was spent on what, and the total; empty where nothing was spent. `runs`: those of the config."""
    own = tuple(map(_place_of, runs))
    sums: dict[tuple[str, str], Spending] = {}
    for one in spent:
        purpose = _purpose(one.place, own)
        sums[purpose] = sums.get(purpose, Spending()) + one.spending
    rows = [
        [f"{what}: {about}" if about else what, str(sums[what, about])]
        for what, about in sorted(sums, key=lambda purpose: (IN_ORDER.index(purpose[0]), purpose[1]))
    ]
    whole = total(sums.values())
    going_on = total(one.spending for one in spent if not one.has_ended)
    if whole == Spending():
        return ""
    rows.append(["total", str(whole)])
    if going_on != Spending():
        rows.append(["of it by steps that have not ended", str(going_on)])
    return tabulate(rows, ["spent on", "dollars"], disable_numparse=True)


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


def _of_row(row: Mapping[str, Any]) -> Spending:
    return _spending(row["dollars"], row["unpriced"], row["simulated"])


def _of_record(record: Mapping[str, Any]) -> Spending:
    dollars = record["answer"].get("dollars")
    return _spending(dollars or 0.0, int(dollars is None), bool(record["request"].get("simulated")))


def _spending(dollars: float, unpriced: int, simulated: bool) -> Spending:
    return Spending(simulated=dollars) if simulated else Spending(dollars=dollars, unpriced=unpriced)


def _records(journal: Path) -> Iterator[Mapping[str, Any]]:
    """The records of a journal that a step may be writing to."""
    with suppress(FileNotFoundError), journal.open("rb") as lines:
        for line in lines:
            with suppress(ValueError, KeyError, TypeError):
                record = json.loads(line)
                yield {"request": dict(record["request"]), "answer": dict(record["answer"])}
