"""Curation of files: what is read, what is remembered between pools, and what is written."""

import os
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from llamaduo.config.curation import CurationSettings, FilterName
from llamaduo.curation.curate import Curation
from llamaduo.curation.decisions import Decisions
from llamaduo.curation.pair_files import PairFiles, read_pair_files
from llamaduo.curation.pairs import read_pair
from llamaduo.curation.remembered import Remembered
from llamaduo.storage.canonical import digest_file
from llamaduo.storage.files import write_json
from llamaduo.workflow.fingerprint import fingerprint

PROGRAM = "curate.py"
LIBRARIES = ("datasketch", "nltk")
"""Libraries whose results are part of what is remembered."""
REPEATING = ("exact", "minhash", "novelty")
"""The filters that reject a row because it repeats an earlier one."""


@dataclass(frozen=True)
class CuratedFiles:
    """The rows of some files and what became of them."""

    pairs: PairFiles
    decisions: Decisions
    funnel: dict[str, Any]

    def write(self, kept: Path, rejected: Path | None, funnel: Path | None, diversity: Path | None) -> None:
        """Write what is asked for; the same rows and settings give the same bytes."""
        self.pairs.write(kept, self.decisions.kept)
        if rejected is not None:
            self.pairs.write_rejected(rejected, self.decisions.rejected)
        if funnel is not None:
            write_json(funnel, self.funnel)
        if diversity is not None:
            write_json(diversity, self.diversity())

    def diversity(self) -> dict[str, Any]:
        """The figures of the rows kept, and what each file added."""
        from llamaduo.curation.diversity import BATCH_PAIRS, Diversity

        kept = self.decisions.kept
        found = Diversity()
        for start in range(0, len(kept), BATCH_PAIRS):
            rows = self.pairs.take(kept[start : start + BATCH_PAIRS])
            found.add([pair for row in rows if (pair := read_pair(row, "")) is not None])
        return found.figures(self._chunks())

    def _chunks(self) -> list[tuple[int, int, int]]:
        """Per file its rows, those accepted, and those rejected because they repeat earlier ones."""
        ends = list(accumulate(self.pairs.sizes, initial=0))
        repeated = [position for position, stage in self.decisions.stages.items() if stage in REPEATING]
        accepted, repeats = ([bisect_left(places, end) for end in ends] for places in (self.decisions.kept, repeated))
        steps = (pairwise(counts) for counts in (ends, accepted, repeats))
        return [
            (rows[1] - rows[0], kept[1] - kept[0], same[1] - same[0]) for rows, kept, same in zip(*steps, strict=True)
        ]


def curate_files(
    inputs: Sequence[Path],
    train: Path | None,
    test: Path | None,
    pool: Path | None,
    settings: CurationSettings,
    filters: Sequence[FilterName],
    state: Path | None = None,
    threads: int | None = None,
) -> CuratedFiles:
    """Decide on the rows of `inputs`, which go on from one another; see `Curation`.

    `state`: the folder in which pools are remembered. `threads`: None for as many as this process may use.
    """
    pairs = read_pair_files(inputs)
    known = {what: read_pair_files([path]).rows if path else [] for what, path in (("train", train), ("pool", pool))}
    tests = read_pair_files([test]).rows if test else []
    curation = Curation(tests, settings, filters, threads=threads or len(os.sched_getaffinity(0)))
    remembered = None
    if state is not None:
        rests_on = {
            "settings": settings.model_dump(mode="json"),
            "filters": list(filters),
            "code": fingerprint(PROGRAM),
            "libraries": {name: version(name) for name in LIBRARIES},
            **{what: path and digest_file(path) for what, path in (("train", train), ("test", test), ("pool", pool))},
        }
        remembered = Remembered(state, rests_on, inputs)
    earlier = remembered.longest() if remembered else None
    if earlier is None:
        for what, rows in known.items():
            curation.add_known(what, rows)
        decided = 0
    else:
        files, arrays = earlier
        curation.restore(arrays)
        decided = sum(pairs.sizes[:files])
    if decided < len(pairs.rows) or earlier is None:
        curation.decide(pairs.rows[decided:])
        if remembered is not None:
            remembered.keep(curation.state())
    return CuratedFiles(pairs, curation.decisions, curation.funnel())
