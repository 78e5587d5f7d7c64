"""What finished steps and a pilot have measured: the sizes of calls, and how many pairs curation accepts."""

from dataclasses import dataclass
from pathlib import Path

from llamaduo.config.root import Config
from llamaduo.estimate.calls import CallSize, Sizes
from llamaduo.service.budget.usage import Usage, total
from llamaduo.storage.files import read_json
from llamaduo.storage.schemas.costs import COSTS
from llamaduo.storage.tables import Row, read_rows
from llamaduo.synthesis.chunks import capacity
from llamaduo.workflow.layout import Results, cost_tables


@dataclass(frozen=True)
class Measured:
    """Mean sizes of calls by task, service and role, and shares of accepted pairs by task and generator."""

    sizes: Sizes
    yields: dict[tuple[str, str], float]


def read_measured(config: Config, results: Path) -> Measured:
    """Whatever has been measured under a results folder; a pool's yield goes before a pilot's."""
    yields: dict[tuple[str, str], float] = {}
    of_pilot = Results(results).pilot_yields
    if of_pilot.is_file():
        yields = {(each["task"], each["generator"]): each["share"] for each in read_json(of_pilot)}
    for task, settings in config.tasks.items():
        for generator in settings.generators:
            share = _yield_of_pool(config, Results(results).pools(task, generator))
            if share is not None:
                yields[task, generator] = share
    return Measured(read_sizes(results), {key: share for key, share in yields.items() if share > 0})


def read_sizes(results: Path, most: int | None = None) -> Sizes:
    """The sizes that were measured, where asked for by no more than the newest `most` steps of a task and a service."""
    tables: dict[tuple[str, ...], list[Path]] = {(): [Results(results).pilot_costs]}
    for step, path in cost_tables(Results(results)):
        tables.setdefault(_asked(tuple(step.split("/"))), []).append(path)
    chosen = [path for group in tables.values() for path in _newest(group, most)]
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in (row for path in chosen if path.is_file() for row in read_rows(path, COSTS)):
        groups.setdefault((row["task"], row["services"], row["role"]), []).append(row)
    return {key: size for key, group in groups.items() if (size := _size(group)) is not None}


def _asked(place: tuple[str, ...]) -> tuple[str, ...]:
    """Who was asked, for which task and in what role, by a table's place: the path of its step."""
    if place[0] == "synthesis":
        return place[:3]
    return place[0], place[2 if place[0] == "judging" else 1], place[-1]


def _newest(tables: list[Path], most: int | None) -> list[Path]:
    if most is None or len(tables) <= most:
        return tables
    return sorted(tables, key=lambda path: path.stat().st_mtime)[-most:]


def _size(rows: list[Row]) -> CallSize | None:
    usage = total(map(Usage.of_row, rows))
    if not usage.calls or not usage.answers:
        return None
    return CallSize(
        usage.prompt_tokens / usage.calls,
        usage.completion_tokens / usage.answers,
        usage.cached_tokens / usage.calls,
        usage.cache_write_tokens / usage.calls,
        measured=True,
    )


def _yield_of_pool(config: Config, folder: Path) -> float | None:
    """The share of the pairs asked for that the largest pool accepted."""
    pools = sorted(folder.glob("chunks-*/funnel.json"), key=lambda path: int(path.parent.name.removeprefix("chunks-")))
    if not pools:
        return None
    asked = capacity(int(pools[-1].parent.name.removeprefix("chunks-")), config.synthesis)
    return float(read_json(pools[-1])["accepted"]) / asked
