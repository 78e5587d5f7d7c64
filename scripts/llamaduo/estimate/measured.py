"""What finished steps and a pilot have measured: the sizes of calls, and how many pairs curation accepts."""

from dataclasses import dataclass
from pathlib import Path

from llamaduo.config.root import Config
from llamaduo.estimate.calls import CallSize, Sizes
from llamaduo.files import read_json
from llamaduo.schemas.costs import COSTS
from llamaduo.synthesis.chunks import capacity
from llamaduo.tables import Row, read_rows

PILOT = Path("pilot") / "costs.parquet"
YIELDS = Path("pilot") / "yields.json"


@dataclass(frozen=True)
class Measured:
    """Mean sizes of calls by task, service and role, and shares of accepted pairs by task and generator."""

    sizes: Sizes
    yields: dict[tuple[str, str], float]


def read_measured(config: Config, results: Path) -> Measured:
    """Whatever has been measured under a results folder; a pool's yield goes before a pilot's."""
    tables = [results / PILOT, *sorted((results / "costs").rglob("*.parquet"))]
    rows = [row for path in tables if path.is_file() for row in read_rows(path, COSTS)]
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["task"], row["services"], row["role"]), []).append(row)
    sizes = {key: size for key, group in groups.items() if (size := _size(group)) is not None}
    yields: dict[tuple[str, str], float] = {}
    if (results / YIELDS).is_file():
        yields = {(each["task"], each["generator"]): each["share"] for each in read_json(results / YIELDS)}
    for task, settings in config.tasks.items():
        for generator in settings.generators:
            share = _yield_of_pool(config, results / "synthesis" / task / generator)
            if share is not None:
                yields[task, generator] = share
    return Measured(sizes, {key: share for key, share in yields.items() if share > 0})


def _size(rows: list[Row]) -> CallSize | None:
    calls, answers = (sum(row[name] for row in rows) for name in ("calls", "answers"))
    if not calls or not answers:
        return None
    prompt, cached, written, answer = (
        sum(row[name] for row in rows)
        for name in ("prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens")
    )
    return CallSize(prompt / calls, answer / answers, cached / calls, written / calls, measured=True)


def _yield_of_pool(config: Config, folder: Path) -> float | None:
    """The share of the pairs asked for that the largest pool accepted."""
    pools = sorted(folder.glob("chunks-*/funnel.json"), key=lambda path: int(path.parent.name.removeprefix("chunks-")))
    if not pools:
        return None
    asked = capacity(int(pools[-1].parent.name.removeprefix("chunks-")), config.synthesis)
    return float(read_json(pools[-1])["accepted"]) / asked
