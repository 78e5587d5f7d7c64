"""Words and runs of words as 64-bit numbers that depend on the text alone, for many rows at a time."""

from collections.abc import Iterable, Sequence
from hashlib import sha1
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Starts = NDArray[np.int64]

_FACTOR_1, _FACTOR_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_HALF = np.uint64(32)


class WordHashes(dict[str, int]):
    """The hash of each word: the first 64 bits of its SHA-1, computed once per distinct word."""

    def __missing__(self, word: str) -> int:
        digest = sha1(word.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
        number = self[word] = int.from_bytes(digest[:8], "little")
        return number

    def rows(self, texts: Sequence[Iterable[str]]) -> tuple[Hashes, Starts]:
        """Texts given as words, flat; text `i` is `hashes[starts[i] : starts[i + 1]]`."""
        numbers = [list(map(self.__getitem__, text)) for text in texts]
        starts = np.array(list(accumulate(map(len, numbers), initial=0)), dtype=np.int64)
        return np.fromiter(chain.from_iterable(numbers), dtype=np.uint64, count=int(starts[-1])), starts


def ngram_hashes(words: Hashes, starts: Starts, length: int, whole_if_short: bool = False) -> tuple[Hashes, Starts]:
    """The hash of every run of `length` words within its row, in order, rows as in `starts`.

    `whole_if_short`: a row of fewer words, but one at least, has one hash of all its words. Different runs have equal
    hashes with the chance of random 64-bit numbers: below 1 in 10^7 in a million runs.
    """
    sizes = np.diff(starts)
    counts = np.maximum(sizes - length + 1, np.minimum(sizes, 1) if whole_if_short else 0)
    ngram_starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows = np.repeat(np.arange(len(sizes)), counts)
    places = starts[rows] + np.arange(ngram_starts[-1]) - ngram_starts[rows]
    ends = starts[rows + 1]
    hashes = np.zeros(len(places), np.uint64)
    for offset in range(length):
        at = places + offset
        inside = at < ends
        mixed = (hashes ^ words[np.minimum(at, len(words) - 1)]) * _FACTOR_1
        mixed = (mixed ^ (mixed >> _HALF)) * _FACTOR_2
        hashes = np.where(inside, mixed ^ (mixed >> _HALF), hashes)
    return hashes, ngram_starts
