"""One volume of a run as far as it exists: scores, decision, and the first step whose result is not there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.config.root import WITHOUT_GENERATOR
from llamaduo.report.plan import RunName
from llamaduo.report.reading import Reader
from llamaduo.report.scores import Score, from_decision, from_metrics
from llamaduo.storage.schemas.metrics import METRICS


@dataclass(frozen=True)
class Cycle:
    """One volume of a run. `volume` is None for a model that was tuned elsewhere: it is graded once, as it came."""

    volume: int | None
    folder: Path
    dataset: Path | None
    scores: tuple[Score, ...]
    decision: Mapping[str, Any] | None
    criteria: tuple[Score, ...]

    @property
    def exists(self) -> bool:
        """Whether there is a score or a decision to show."""
        return bool(self.scores or self.decision)

    @property
    def closes(self) -> bool:
        """Whether its decision ends the run."""
        return self.decision is not None and self.decision.get("verdict") != "expand"

    @property
    def trained(self) -> bool:
        """Whether it was trained and graded, as against a volume that the pool could not reach."""
        return bool(self.scores) if self.decision is None else self.decision.get("reason") != "yield"


def read_cycle(reader: Reader, name: RunName, volume: int) -> Cycle:
    """The cycle of a run at one volume; all generators share the one at volume 0."""
    generator = name.generator if volume else WITHOUT_GENERATOR
    folder = reader.layout.cycle(name.task, generator, name.model, volume)
    return _read(reader, folder, volume, reader.layout.dataset(name.task, generator, volume))


def read_elsewhere(reader: Reader, name: RunName) -> Cycle:
    """The grading of a model that was tuned elsewhere."""
    return _read(reader, reader.layout.baseline(name.task, name.model), None, None)


def gap(cycle: Cycle, judges: Sequence[str]) -> str:
    """The first step of a cycle whose result is not there; the later ones follow from it."""
    ungraded = [judge for judge in judges if not (cycle.folder / "grades" / f"{judge}.parquet").is_file()]
    steps = [
        ((cycle.folder / "responses.parquet").is_file(), "responses (inference)"),
        (not ungraded, f"grades by {', '.join(ungraded)} (judging)"),
        (bool(cycle.scores), "metrics"),
        (cycle.decision is not None, "decision"),
    ]
    if cycle.dataset is not None:
        training = (cycle.dataset.is_file(), "dataset (coverage, synthesis or curation)")
        steps = [training, ((cycle.folder / "adapter").is_dir(), "adapter (fine-tuning)"), *steps]
    # A later artifact proves the earlier steps: a results folder may have been copied without its large files.
    proven = max((index for index, (there, _) in enumerate(steps) if there), default=-1)
    step = next((what for there, what in steps[proven + 1 :] if not there), "decision")
    return f"no {step}" if cycle.volume is None else f"volume {cycle.volume}: no {step}"


def _read(reader: Reader, folder: Path, volume: int | None, dataset: Path | None) -> Cycle:
    decision = reader.json(folder / "decision.json")
    scores = from_metrics(reader.rows(folder / "metrics.parquet", METRICS))
    return Cycle(volume, folder, dataset, scores, decision, from_decision(decision))
