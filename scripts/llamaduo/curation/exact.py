"""Exact duplicates: pairs that are equal once both texts are normalised."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaduo.curation.pairs import Pair, Rejection

DIGEST_BYTES = 16


class ExactFilter:
    """The filter `exact`: instruction and response both equal those of a pair seen before."""

    def __init__(self, identifiers: Sequence[str]) -> None:
        self._identifiers = identifiers
        self._digests: list[bytes] = []
        self._numbers: dict[bytes, int] = {}
        self._batch: dict[int, bytes] = {}

    def look_at(self, pairs: Sequence[Pair], open_rows: Sequence[int]) -> list[int]:
        self._batch = {row: _digest(pairs[row]) for row in open_rows}
        return [row for row, digest in self._batch.items() if digest in self._numbers]

    def check(self, row: int) -> Rejection | None:
        number = self._numbers.get(self._batch[row])
        return None if number is None else Rejection("exact_duplicate", self._identifiers[number], 1.0)

    def add(self, row: int) -> None:
        self._numbers.setdefault(self._batch[row], len(self._digests))
        self._digests.append(self._batch[row])

    def state(self) -> dict[str, NDArray[Any]]:
        return {"digests": np.frombuffer(b"".join(self._digests), np.uint8).reshape(-1, DIGEST_BYTES)}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._digests = [row.tobytes() for row in state["digests"]]
        for number, digest in enumerate(self._digests):
            self._numbers.setdefault(digest, number)


def _digest(pair: Pair) -> bytes:
    """What takes the place of both texts, which would need their memory a second time."""
    texts = f"{len(pair.normalised_instruction)}:{pair.normalised_instruction}{pair.normalised_response}"
    return blake2b(texts.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()
