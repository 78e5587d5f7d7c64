"""The curation funnel of every pool: what was generated, what each filter took, what was accepted."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from llamaduo.report.plan import Plan
from llamaduo.report.reading import Reader

UNPARSABLE = "unparsable"


@dataclass(frozen=True)
class Pool:
    """Rows of one (task, generator), of so many chunks: generated = accepted + what the stages removed.

    `removed`: rows by the stage that removed them, in the order of the stages; `reasons`: the same rows by reason.
    """

    task: str
    generator: str
    chunks: int
    generated: int
    accepted: int
    removed: Mapping[str, int]
    reasons: Mapping[str, int]

    @property
    def accepted_share(self) -> float:
        """The share of the generated rows that was accepted, in percent."""
        return 100 * self.accepted / self.generated if self.generated else 0.0


def read_pools(reader: Reader, plan: Plan) -> tuple[list[Pool], list[tuple[str, str]]]:
    """The largest pool of every (task, generator), and those of which there is none."""
    pools, missing = [], []
    for task in plan.tasks.values():
        if not any(task.volumes):
            continue
        for generator in task.generators:
            pool = _read_largest(reader, task.name, generator)
            if pool is None:
                missing.append((task.name, generator))
            else:
                pools.append(pool)
    return pools, missing


def read_pool(reader: Reader, task: str, generator: str, chunks: int) -> Pool | None:
    """The pool of so many chunks, if there is one."""
    funnel = reader.json(reader.layout.funnel(task, generator, chunks))
    return None if funnel is None else _make_pool(task, generator, chunks, funnel)


def stages_of(pools: list[Pool]) -> list[str]:
    """Every stage that removes rows, in the order of the stages."""
    return list(dict.fromkeys(stage for pool in pools for stage in pool.removed))


def _read_largest(reader: Reader, task: str, generator: str) -> Pool | None:
    sizes = [(_chunks(path), path) for path in reader.layout.funnels(task, generator)]
    for chunks, path in sorted(sizes, reverse=True):
        funnel = reader.json(path)
        if funnel is not None:
            return _make_pool(task, generator, chunks, funnel)
    return None


def _chunks(path: Path) -> int:
    number = path.parent.name.removeprefix("chunks-")
    return int(number) if number.isdigit() else 0


def _make_pool(task: str, generator: str, chunks: int, funnel: Mapping[str, Any]) -> Pool:
    stages = [(str(stage["stage"]), int(stage["rows"])) for stage in funnel["stages"]]
    removed = {
        UNPARSABLE if stage == "parsed" else stage: before - after for (_, before), (stage, after) in pairwise(stages)
    }
    reasons = {str(reason): int(rows) for reason, rows in funnel["reasons"].items()}
    return Pool(task, generator, chunks, int(funnel["generated"]), int(funnel["accepted"]), removed, reasons)
