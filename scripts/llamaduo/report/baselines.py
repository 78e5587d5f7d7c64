"""The baselines of every task: the service LLMs' own scores and the untuned models'."""

from dataclasses import dataclass
from typing import Literal

from llamaduo.report.plan import Plan
from llamaduo.report.reading import Reader
from llamaduo.report.scores import Score, from_metrics
from llamaduo.storage.schemas.metrics import METRICS

Kind = Literal["service", "untuned"]


@dataclass(frozen=True)
class Baseline:
    """The scores of a service LLM or of an untuned model; empty where they do not exist yet."""

    task: str
    name: str
    kind: Kind
    scores: tuple[Score, ...]


def read_baselines(reader: Reader, plan: Plan) -> list[Baseline]:
    """The baselines that the plan asks for, and those of further services where they exist."""
    found = []
    for task in plan.tasks.values():
        folder = reader.layout.baselines(task.name)
        others = [name for name in plan.services if (folder / name).is_dir()]
        kinds: dict[str, Kind] = dict.fromkeys([*task.baseline_services, *others], "service")
        if plan.untuned:
            kinds |= dict.fromkeys(plan.trained, "untuned")
        for name, kind in kinds.items():
            rows = reader.rows(folder / name / "metrics.parquet", METRICS)
            found.append(Baseline(task.name, name, kind, from_metrics(rows)))
    return found
