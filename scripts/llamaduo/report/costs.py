"""What the artifacts cost: per pool, per cycle of a run, and per baseline, from the tables of costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from llamaduo.config.root import WITHOUT_GENERATOR
from llamaduo.report.reading import Reader
from llamaduo.service.budget.usage import Usage
from llamaduo.storage.schemas.costs import COSTS
from llamaduo.workflow.layout import cost_tables


@dataclass(frozen=True)
class Cost:
    """What one artifact cost, over all services."""

    what: str
    about: str
    volume: int | None
    usage: Usage


def read_costs(reader: Reader) -> list[Cost]:
    """The costs of pools, of graded cycles and of baselines, in this order and by name."""
    usages: dict[tuple[str, str, int | None], Usage] = {}
    for _, path in cost_tables(reader.layout):
        for row in reader.rows(path, COSTS):
            usages[_about(row)] = usages.get(_about(row), Usage()) + Usage.of_row(row)
    costs = [Cost(*about, usage) for about, usage in usages.items()]
    order = {"synthetic pairs": 0, "grades": 1, "service's responses": 2}
    return sorted(costs, key=lambda cost: (order[cost.what], cost.about, cost.volume or 0))


def _about(row: dict[str, object]) -> tuple[str, str, int | None]:
    names: Sequence[object] = [row["task"], row["generator"], row["model"]]
    if row["role"] == "generator":
        return "synthetic pairs", " / ".join(map(str, names[:2])), None
    if row["role"] == "baseline":
        return "service's responses", f"{row['task']} / {row['services']}", None
    shown = " / ".join(str(name) for name in names if name not in (None, WITHOUT_GENERATOR))
    volume = row["volume"]
    return "grades", shown, volume if isinstance(volume, int) else None
