"""Near duplicates: MinHash LSH over word shingles finds candidates, their true Jaccard similarity decides."""

from functools import cache
from hashlib import sha1

import numpy as np
from datasketch import MinHash, MinHashLSH
from numpy.typing import NDArray

from llamaduo.config.curation import MinHashSettings
from llamaduo.curation.pairs import Pair, Rejection

Shingles = NDArray[np.uint64]

# A false candidate costs one comparison, a missed one a duplicate in the pool: bands are chosen for recall.
FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT = 0.1, 0.9
LOW_32_BITS = np.uint64(0xFFFFFFFF)


class MinHashFilter:
    """The filter `minhash`: Jaccard similarity, at least the threshold, with the earliest such pair seen before."""

    def __init__(self, settings: MinHashSettings) -> None:
        self.settings = settings
        bands = _bands(settings.threshold, settings.permutations)
        self._lsh = MinHashLSH(num_perm=settings.permutations, params=bands)
        # The shingles' own hashes are what the sketches permute.
        self._empty = MinHash(num_perm=settings.permutations, hashfunc=int)
        self._shingles: list[Shingles] = []
        self._identifiers: list[str] = []
        self._last: tuple[Pair, Shingles, MinHash] | None = None

    def check(self, pair: Pair) -> Rejection | None:
        shingles, sketch = self._sketched(pair)
        if not shingles.size:
            return None
        for candidate in sorted(self._lsh.query(sketch)):
            score = jaccard(shingles, self._shingles[candidate])
            if score >= self.settings.threshold:
                return Rejection("near_duplicate", self._identifiers[candidate], score)
        return None

    def add(self, pair: Pair) -> None:
        shingles, sketch = self._sketched(pair)
        if shingles.size:
            self._lsh.insert(len(self._identifiers), sketch)
            self._shingles.append(shingles)
            self._identifiers.append(pair.identifier)

    def _sketched(self, pair: Pair) -> tuple[Shingles, MinHash]:
        """The pair's shingles and sketch; those of the last pair are at hand, since it is checked, then added."""
        if self._last is None or self._last[0] is not pair:
            shingles = hashed_shingles(pair.instruction_words + pair.response_words, self.settings.shingle_words)
            sketch = self._empty.copy()
            if shingles.size:
                sketch.update_batch((shingles & LOW_32_BITS).tolist())
            self._last = pair, shingles, sketch
        return self._last[1], self._last[2]


@cache
def _bands(threshold: float, permutations: int) -> tuple[int, int]:
    """How many bands and how many rows in each suit the threshold, as datasketch's (slow) search finds them."""
    found = MinHashLSH(threshold, permutations, weights=(FALSE_POSITIVE_WEIGHT, FALSE_NEGATIVE_WEIGHT))
    return found.b, found.r


def hashed_shingles(words: list[str], length: int) -> Shingles:
    """The set of runs of `length` words (all words, when there are fewer) as ascending 64-bit hashes.

    64 bits of SHA-1 stand for a shingle: in a million shingles two of them collide with a chance below 1 in 10^7.
    """
    texts = {" ".join(words[start : start + length]) for start in range(max(1, len(words) - length + 1))} - {""}
    encoded = (text.encode("utf-8", "surrogatepass") for text in texts)
    digests = b"".join(sha1(text, usedforsecurity=False).digest()[:8] for text in encoded)
    return np.unique(np.frombuffer(digests, dtype="<u8")).astype(np.uint64)


def jaccard(first: Shingles, second: Shingles) -> float:
    """|first ∩ second| / |first ∪ second| of two sets given as ascending arrays without repeats."""
    common = np.intersect1d(first, second, assume_unique=True).size
    return common / (first.size + second.size - common)
