"""The index of `rouge_index` without compiled code: for few texts, where compiling would take longer than comparing."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaduo.curation.index.lcs import lcs_length, positions, rouge_l
from llamaduo.curation.index.token_numbers import TokenTexts

SLACK = 1e-9
"""Bounds are computed in other floating-point operations than the score itself: they give way by this much."""
BUCKETS = 128
LARGEST_COUNT = 255
BLOCK = 4096


class PlainRougeIndex:
    """Texts in the order added; finds the earliest whose ROUGE-L F with a given text exceeds the threshold.

    Four tests, each tighter and dearer than the one before: the lengths; the overlap of tokens counted in buckets, for
    all texts at once; the true overlap of tokens; the longest common subsequence. Only the last one says yes.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._texts: list[_Text] = []
        self._lengths = np.zeros(BLOCK, dtype=np.int64)
        self._buckets = np.zeros((BLOCK, BUCKETS), dtype=np.uint8)
        self._beyond = np.zeros(BLOCK, dtype=np.int64)
        self._probe_counts = np.zeros(BLOCK, dtype=np.int32)
        self._batch = TokenTexts.of([])

    def look_at(self, batch: TokenTexts) -> list[int]:
        """Take the next batch. Compares nothing yet."""
        self._batch = batch
        while len(self._probe_counts) <= batch.numbers.max(initial=0):
            self._probe_counts = _doubled(self._probe_counts)
        return []

    def match(self, row: int) -> tuple[int, float] | None:
        """The earliest text above the threshold for a row of the batch, and the score; or None."""
        probe = _Text.of(self._batch[row])
        self._probe_counts[probe.distinct] = probe.repeats
        numbers = probe.tokens.tolist()
        where: dict[Any, int] | None = None
        try:
            for place in self._candidates(probe, len(numbers)):
                text = self._texts[place]
                overlap = np.minimum(self._probe_counts[text.distinct], text.repeats).sum()
                if overlap <= self._least(len(numbers) + len(text.tokens)):
                    continue
                where = positions(numbers) if where is None else where
                common = lcs_length(where, len(numbers), text.tokens.tolist())
                score = rouge_l(common, len(numbers), len(text.tokens))
                if score > self.threshold:
                    return place, score
        finally:
            self._probe_counts[probe.distinct] = 0
        return None

    def add(self, row: int) -> None:
        """Add a row of the batch; one without tokens takes a number too, and is like no other."""
        text = _Text.of(self._batch[row])
        count = len(self._texts)
        if count == len(self._lengths):
            self._lengths = _doubled(self._lengths)
            self._buckets = _doubled(self._buckets)
            self._beyond = _doubled(self._beyond)
        self._lengths[count] = len(text.tokens)
        self._buckets[count], self._beyond[count] = _bucket_counts(text)
        self._texts.append(text)

    def _candidates(self, probe: "_Text", length: int) -> Iterator[int]:
        """Numbers of texts, ascending, that the lengths and the bucket counts do not rule out."""
        buckets, beyond = _bucket_counts(probe)
        for start in range(0, len(self._texts), BLOCK):
            lengths = self._lengths[start : min(start + BLOCK, len(self._texts))]
            least = self._least(lengths + length)
            rest = np.flatnonzero(np.minimum(lengths, length) > least)
            bound = np.minimum(self._buckets[start + rest], buckets).sum(axis=1, dtype=np.int64)
            # min(a, b) is at most the smaller of both parts up to LARGEST_COUNT plus the smaller of those beyond it.
            bound += np.minimum(self._beyond[start + rest], beyond)
            yield from (start + rest[bound > least[rest]]).tolist()

    def _least(self, lengths: Any) -> Any:
        """What the longest common subsequence must exceed, given both texts' lengths together: F = 2 LCS / lengths."""
        return (self.threshold - SLACK) / 2 * lengths


@dataclass(frozen=True)
class _Text:
    """A text as numbers of its tokens, in order, and as distinct numbers with how often each occurs."""

    tokens: NDArray[np.int32]
    distinct: NDArray[np.int32]
    repeats: NDArray[np.int32]

    @classmethod
    def of(cls, tokens: NDArray[np.int32]) -> "_Text":
        distinct, repeats = np.unique(tokens, return_counts=True)
        return cls(tokens, distinct, repeats.astype(np.int32))


def _bucket_counts(text: _Text) -> tuple[NDArray[np.uint8], int]:
    """How many tokens fall into each bucket, up to `LARGEST_COUNT`, and how many are beyond that in all buckets."""
    counts = np.bincount(text.tokens % BUCKETS, minlength=BUCKETS)
    kept = np.minimum(counts, LARGEST_COUNT)
    return kept.astype(np.uint8), int((counts - kept).sum())


def _doubled(array: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([array, np.zeros_like(array)])
