"""What became of the rows: those kept, and why the others were not; also as arrays that can be stored."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaduo.curation.pairs import Rejection


@dataclass
class Decisions:
    """What became of the rows, in their order."""

    kept: list[int] = field(default_factory=list)
    """Positions of the accepted rows, ascending."""
    rejected: dict[int, Rejection] = field(default_factory=dict)
    """The rejection of every other row by its position, ascending."""
    stages: dict[int, str] = field(default_factory=dict)
    """The stage that rejected each of these: `parsed`, or the name of the filter."""

    @property
    def rows(self) -> int:
        """How many rows were decided on."""
        return len(self.kept) + len(self.rejected)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The same as arrays; texts as JSON."""
        rejections = list(self.rejected.values())
        scores = [np.nan if rejection.score is None else rejection.score for rejection in rejections]
        return {
            "kept": np.array(self.kept, np.int64),
            "rejected": np.array(list(self.rejected), np.int64),
            "reasons": packed([rejection.reason for rejection in rejections]),
            "matched": packed([rejection.matched_id for rejection in rejections]),
            "scores": np.array(scores, np.float64),
            "stages": packed(list(self.stages.values())),
        }

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> "Decisions":
        """What `to_arrays` was made of."""
        rejected = arrays["rejected"].tolist()
        texts = (unpacked(arrays[name]) for name in ("reasons", "matched"))
        scores = (None if np.isnan(score) else score for score in arrays["scores"].tolist())
        rejections = (Rejection(*each) for each in zip(*texts, scores, strict=True))
        return Decisions(
            arrays["kept"].tolist(),
            dict(zip(rejected, rejections, strict=True)),
            dict(zip(rejected, unpacked(arrays["stages"]), strict=True)),
        )


def packed(texts: list[Any]) -> NDArray[np.uint8]:
    """Texts as the bytes of a JSON list."""
    return np.frombuffer(json.dumps(texts).encode(), np.uint8)


def unpacked(content: NDArray[np.uint8]) -> list[Any]:
    """The texts in `packed` bytes."""
    found: list[Any] = json.loads(content.tobytes())
    return found
