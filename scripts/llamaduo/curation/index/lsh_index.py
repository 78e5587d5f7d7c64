"""Near duplicates for whole batches: the sketches, bands and candidates of datasketch's MinHashLSH, compiled.

datasketch keeps a set per bucket, which for 300,000 rows takes several gigabytes, and looks at one row at a time.
"""

from functools import cache
from typing import Any

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

from llamaduo.config.curation import MinHashSettings
from llamaduo.curation.index import minhash_kernels as kernels
from llamaduo.curation.index.room import with_room
from llamaduo.curation.index.slices import in_slices
from llamaduo.curation.index.word_hashes import Hashes, Starts

FIRST_ROOM = 1024
FEWEST_SLOTS_PER_KEY = 2
# A false candidate costs one comparison, a missed one a duplicate in the pool: bands are chosen for recall.
FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT = 0.1, 0.9

Match = tuple[int, float]
"""The number of a set, in the order of adding, and the Jaccard similarity with it."""


@cache
def bands(threshold: float, permutations: int) -> tuple[int, int]:
    """How many bands and how many values in each suit the threshold, as datasketch's (slow) search finds them."""
    found = MinHashLSH(threshold, permutations, weights=(FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT))
    return found.b, found.r


class LshIndex:
    """Sets of shingles in the order added; LSH finds candidates, the true Jaccard similarity decides.

    Neither the batches nor the threads change what is found.
    """

    def __init__(self, settings: MinHashSettings, threads: int = 1) -> None:
        self._threshold, self._threads = settings.threshold, threads
        self._bands, self._band_values = bands(settings.threshold, settings.permutations)
        factors, summands = MinHash(num_perm=settings.permutations).permutations
        self._permutations = np.array(factors, np.uint32), np.array(summands, np.uint32)
        self._count = 0
        self._shingles = np.empty(FIRST_ROOM, np.uint64)
        self._starts = np.zeros(FIRST_ROOM, np.int64)
        self._keys = np.empty((FIRST_ROOM, self._bands), np.uint64)
        self._slots = np.zeros(FIRST_ROOM, np.uint64)
        self._heads = np.full(FIRST_ROOM, -1, np.int32)
        self._postings = np.empty((FIRST_ROOM, 2), np.int32)
        self._posting_count = self._slots_used = 0
        self._scratch: list[tuple[NDArray[np.uint8], NDArray[np.int32]]] = []
        self._batch = self._batch_keys = np.empty(0, np.uint64)
        self._batch_starts = self._batch_ends = self._found = self._found_common = np.empty(0, np.int64)
        self._seen = 0

    def look_at(self, shingles: Hashes, starts: Starts) -> list[int]:
        """Take the next batch, per row its shingles (put into order here); the rows that have a match so far."""
        rows = len(starts) - 1
        self._batch, self._batch_starts, self._seen = shingles, starts, self._count
        self._batch_ends = np.empty(rows, np.int64)
        self._batch_keys = np.empty((rows, self._bands), np.uint64)
        self._found, self._found_common = np.empty(rows, np.int64), np.empty(rows, np.int64)
        kernels.sort_sets(shingles, starts, self._batch_ends)
        while len(self._scratch) < self._threads or len(self._scratch[0][0]) < self._count + rows:
            room = 2 * (self._count + rows)
            self._scratch = [(np.zeros(room, np.uint8), np.empty(room, np.int32)) for _ in range(self._threads)]
        in_slices(rows, self._threads, self._look_at_slice)
        return np.flatnonzero(self._found >= 0).tolist()

    def match(self, row: int) -> Match | None:
        """The earliest set near enough to a row of the batch, those added since included; or None."""
        found, common = int(self._found[row]), int(self._found_common[row])
        own = self._batch[self._batch_starts[row] : self._batch_ends[row]]
        if found < 0 and self._count > self._seen:
            found, common = kernels.first_near(
                self._threshold, self._seen, own, self._batch_keys[row], *self._index(), *self._scratch[0]
            )
        if found < 0:
            return None
        return found, common / (len(own) + int(self._starts[found + 1] - self._starts[found]) - common)

    def add(self, row: int) -> None:
        """Add a row of the batch; one without shingles takes a number too, and is near to none."""
        start, end = int(self._batch_starts[row]), int(self._batch_ends[row])
        self._append(self._batch[start:end], np.array([end - start]), self._batch_keys[row : row + 1])

    def state(self) -> dict[str, NDArray[Any]]:
        """All sets and their keys, for an index that goes on from here."""
        return {
            "shingles": self._shingles[: self._starts[self._count]].copy(),
            "starts": self._starts[: self._count + 1].copy(),
            "keys": self._keys[: self._count].copy(),
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from where another index was."""
        self._append(state["shingles"], np.diff(state["starts"]), state["keys"])

    def _append(self, shingles: Hashes, sizes: NDArray[np.int64], keys: Hashes) -> None:
        first, at = self._count, int(self._starts[self._count])
        self._count += len(sizes)
        self._shingles = with_room(self._shingles, at + len(shingles))
        self._starts = with_room(self._starts, self._count + 1)
        self._keys = with_room(self._keys, self._count)
        self._shingles[at : at + len(shingles)] = shingles
        self._starts[first + 1 : self._count + 1] = at + np.cumsum(sizes)
        self._keys[first : self._count] = keys
        self._postings = with_room(self._postings, self._posting_count + keys.size)
        self._make_slots(self._slots_used + keys.size)
        self._posting_count, self._slots_used = kernels.add_keys(
            keys, sizes, first, self._slots, self._heads, self._postings, self._posting_count, self._slots_used
        )

    def _make_slots(self, used: int) -> None:
        if FEWEST_SLOTS_PER_KEY * used <= len(self._slots):
            return
        size = len(self._slots)
        while size < 2 * FEWEST_SLOTS_PER_KEY * used:
            size *= 2
        slots, heads = np.zeros(size, np.uint64), np.full(size, -1, np.int32)
        kernels.move_slots(self._slots, self._heads, slots, heads)
        self._slots, self._heads = slots, heads

    def _look_at_slice(self, first: int, last: int, thread: int) -> None:
        own = self._batch, self._batch_starts, self._batch_ends
        kernels.band_keys(*own, *self._permutations, self._band_values, self._batch_keys, first, last)
        kernels.first_nears(
            self._threshold,
            *own,
            self._batch_keys,
            *self._index(),
            *self._scratch[thread],
            self._found,
            self._found_common,
            first,
            last,
        )

    def _index(self) -> tuple[NDArray[Any], ...]:
        return self._shingles, self._starts, self._slots, self._heads, self._postings
