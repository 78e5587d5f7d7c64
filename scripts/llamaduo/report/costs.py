"""What the artifacts cost: per pool, per cycle of a run, and per baseline, from the tables of costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from llamaduo.config.root import WITHOUT_GENERATOR
from llamaduo.report.reading import Reader
from llamaduo.storage.schemas.costs import COSTS

FOLDERS = ("synthesis", "judging", "baselines")
"""The tables of costs by what was paid for, in the order of the report."""


@dataclass
class Cost:
    """What one artifact cost, over all services; dollars of simulated services apart, which nobody was charged.

    `unpriced`: answers whose price was not known.
    """

    what: str
    about: str
    volume: int | None
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0
    simulated_dollars: float = 0.0
    unpriced: int = 0


def read_costs(reader: Reader) -> list[Cost]:
    """The costs of pools, of graded cycles and of baselines, in this order and by name."""
    costs: dict[tuple[str, str, int | None], Cost] = {}
    for folder in FOLDERS:
        for path in sorted((reader.results / "costs" / folder).rglob("*.parquet")):
            for row in reader.rows(path, COSTS):
                key = _about(row)
                cost = costs.setdefault(key, Cost(*key))
                for name in ("calls", "prompt_tokens", "completion_tokens", "unpriced"):
                    setattr(cost, name, getattr(cost, name) + row[name])
                if row["simulated"]:
                    cost.simulated_dollars += row["dollars"]
                else:
                    cost.dollars += row["dollars"]
    order = {"synthetic pairs": 0, "grades": 1, "service's responses": 2}
    return sorted(costs.values(), key=lambda cost: (order[cost.what], cost.about, cost.volume or 0))


def _about(row: dict[str, object]) -> tuple[str, str, int | None]:
    names: Sequence[object] = [row["task"], row["generator"], row["model"]]
    if row["role"] == "generator":
        return "synthetic pairs", " / ".join(map(str, names[:2])), None
    if row["role"] == "baseline":
        return "service's responses", f"{row['task']} / {row['services']}", None
    shown = " / ".join(str(name) for name in names if name not in (None, WITHOUT_GENERATOR))
    volume = row["volume"]
    return "grades", shown, volume if isinstance(volume, int) else None
