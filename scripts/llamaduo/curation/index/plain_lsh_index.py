"""Near duplicates by datasketch itself, one row after another: for few texts, and what `lsh_index` must agree with."""

from functools import cache
from itertools import pairwise

import numpy as np
from datasketch import MinHash, MinHashLSH

from llamaduo.config.curation import MinHashSettings
from llamaduo.curation.index.word_hashes import Hashes, Starts

Match = tuple[int, float]
"""The number of a set, in the order of adding, and the Jaccard similarity with it."""

# A false candidate costs one comparison, a missed one a duplicate in the pool: bands are chosen for recall.
FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT = 0.1, 0.9
LOW_32_BITS = np.uint64(0xFFFFFFFF)


@cache
def bands(threshold: float, permutations: int) -> tuple[int, int]:
    """How many bands and how many values in each suit the threshold, as datasketch's (slow) search finds them."""
    found = MinHashLSH(threshold, permutations, weights=(FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT))
    return found.b, found.r


def empty_sketch(permutations: int) -> MinHash:
    """A sketch of no shingles. The shingles' own hashes are what it permutes."""
    return MinHash(num_perm=permutations, hashfunc=int)


def jaccard(first: Hashes, second: Hashes) -> float:
    """|first ∩ second| / |first ∪ second| of two sets given as ascending arrays without repeats."""
    common = np.intersect1d(first, second, assume_unique=True).size
    return common / (first.size + second.size - common)


class PlainLshIndex:
    """Sets of shingles in the order added; LSH finds candidates, the true Jaccard similarity decides."""

    def __init__(self, settings: MinHashSettings) -> None:
        self._threshold = settings.threshold
        self._lsh = MinHashLSH(num_perm=settings.permutations, params=bands(settings.threshold, settings.permutations))
        self._empty = empty_sketch(settings.permutations)
        self._sets: list[Hashes] = []
        self._batch: list[Hashes] = []

    def look_at(self, shingles: Hashes, starts: Starts) -> list[int]:
        """Take the next batch: per row its shingles, in any order, repeats included. Compares nothing yet."""
        self._batch = [np.unique(shingles[start:end]) for start, end in pairwise(starts.tolist())]
        return []

    def match(self, row: int) -> Match | None:
        """The earliest set near enough to a row of the batch, and the similarity; or None."""
        own = self._batch[row]
        if own.size:
            for candidate in sorted(self._lsh.query(self._sketch(own))):
                score = jaccard(own, self._sets[candidate])
                if score >= self._threshold:
                    return candidate, score
        return None

    def add(self, row: int) -> None:
        """Add a row of the batch; one without shingles takes a number too, and is near to none."""
        if self._batch[row].size:
            self._lsh.insert(len(self._sets), self._sketch(self._batch[row]))
        self._sets.append(self._batch[row])

    def _sketch(self, shingles: Hashes) -> MinHash:
        sketch = self._empty.copy()
        sketch.update_batch((shingles & LOW_32_BITS).tolist())
        return sketch
