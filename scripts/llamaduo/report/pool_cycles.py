"""What each cycle added to a pool, and how varied the pool is: funnels by cycle, new n-grams, openings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.report.plan import Plan
from llamaduo.report.pools import Pool, read_pool
from llamaduo.report.reading import Reader


@dataclass(frozen=True)
class PoolCycle:
    """The rows that one cycle added to a pool: those of the chunks beyond the cycle before.

    Counts as in `Pool`. `new_trigrams`: the percentage of its accepted instructions' word trigrams that no earlier
    instruction of the pool has; None where it is not known or there are none.
    """

    task: str
    generator: str
    volume: int
    chunks: int
    generated: int
    accepted: int
    removed: Mapping[str, int]
    new_trigrams: float | None

    @property
    def accepted_share(self) -> float:
        """The share of the generated rows that was accepted, in percent."""
        return 100 * self.accepted / self.generated if self.generated else 0.0


@dataclass(frozen=True)
class PoolDiversity:
    """How varied the largest pool of a (task, generator) is, as curation counted it.

    `distinct`: per text the percentages of distinct word 1-, 2- and 3-grams. `openings`: the most frequent ones.
    """

    task: str
    generator: str
    rows: int
    distinct: Mapping[str, tuple[float, ...]]
    different_openings: int
    openings: tuple[tuple[str, int], ...]


def read_pool_cycles(reader: Reader, plan: Plan, pools: Sequence[Pool]) -> list[PoolCycle]:
    """The cycles of every pool, in the order of the volumes, as far as their pools were curated."""
    found = []
    for pool in pools:
        figures = _figures(reader, pool) or {}
        before: Pool | None = None
        for volume in sorted(filter(None, plan.tasks[pool.task].volumes)):
            measured = reader.json(reader.layout.measured_pool(pool.task, pool.generator, volume))
            chunks = measured and measured.get("chunks")
            reached = read_pool(reader, pool.task, pool.generator, chunks) if isinstance(chunks, int) else None
            if reached is None:
                continue
            found.append(_cycle(volume, before, reached, figures.get("chunks") or []))
            before = reached
    return found


def read_diversity(reader: Reader, pools: Sequence[Pool]) -> list[PoolDiversity]:
    """The diversity of every pool that has such figures."""
    found = []
    for pool in pools:
        figures = _figures(reader, pool)
        if figures is None:
            continue
        try:
            found.append(_diversity(pool, figures))
        except (KeyError, TypeError, ValueError):
            reader.note(f"{reader.shown(_diversity_path(reader, pool))}: not the figures of a pool's diversity")
    return found


def _cycle(volume: int, before: Pool | None, reached: Pool, chunks: Sequence[Mapping[str, Any]]) -> PoolCycle:
    first = before.chunks if before else 0
    # A volume that another one's pool reaches already adds no chunks.
    own = chunks[first : max(first, reached.chunks)]
    trigrams = sum(int(chunk.get("trigrams") or 0) for chunk in own)
    new = sum(int(chunk.get("new_trigrams") or 0) for chunk in own)
    return PoolCycle(
        task=reached.task,
        generator=reached.generator,
        volume=volume,
        chunks=reached.chunks,
        generated=reached.generated - (before.generated if before else 0),
        accepted=reached.accepted - (before.accepted if before else 0),
        removed={
            stage: rows - (before.removed.get(stage, 0) if before else 0) for stage, rows in reached.removed.items()
        },
        new_trigrams=100 * new / trigrams if trigrams else None,
    )


def _diversity(pool: Pool, figures: Mapping[str, Any]) -> PoolDiversity:
    return PoolDiversity(
        task=pool.task,
        generator=pool.generator,
        rows=int(figures["rows"]),
        distinct={
            text: tuple(100 * float(figures[text][f"distinct_{length}"]) for length in (1, 2, 3))
            for text in ("instruction", "response")
        },
        different_openings=int(figures["openings"]["distinct"]),
        openings=tuple((str(each["words"]), int(each["rows"])) for each in figures["openings"]["most_frequent"]),
    )


def _figures(reader: Reader, pool: Pool) -> dict[str, Any] | None:
    return reader.json(_diversity_path(reader, pool))


def _diversity_path(reader: Reader, pool: Pool) -> Path:
    return reader.layout.pool(pool.task, pool.generator, pool.chunks) / "diversity.json"
