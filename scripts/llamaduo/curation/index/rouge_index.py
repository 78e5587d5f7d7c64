"""An index of texts that finds the earliest above a ROUGE-L threshold, exactly and fast."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaduo.curation.index import rouge_kernels as kernels
from llamaduo.curation.index.lcs import rouge_l
from llamaduo.curation.index.room import with_room
from llamaduo.curation.index.slices import in_slices
from llamaduo.curation.index.token_numbers import TokenTexts

SLACK = 1e-9
"""Bounds are computed in other floating-point operations than the score itself: they give way by this much."""
GROWTH = 2
"""The index is put in order anew, rarest elements first, whenever it has grown by this factor."""
FIRST_ROOM = 1024

Match = tuple[int, float]
"""The number of a text, in the order of adding, and the ROUGE-L F with it."""


class RougeIndex:
    """Texts in the order added. A batch is looked at as a whole, by several threads; then its rows are asked for in
    order, and added where they are kept, so that later rows of the batch see them.

    Neither the batches nor the threads change what is found.
    """

    def __init__(self, threshold: float, threads: int = 1) -> None:
        self.threshold, self.threads = threshold, threads
        self._half = (threshold - SLACK) / 2
        self._count = 0
        self._tokens = np.empty(FIRST_ROOM, np.int32)
        self._bags = np.empty(FIRST_ROOM, np.uint32)
        self._starts = np.zeros(FIRST_ROOM, np.int64)
        self._signatures = np.empty((FIRST_ROOM, kernels.SIGNATURE_WORDS), np.uint64)
        self._counts = np.zeros(kernels.ELEMENTS, np.int32)
        self._posting_starts = np.zeros(kernels.ELEMENTS + 1, np.int64)
        self._postings = np.empty((0, 3), np.int32)
        self._heads = np.full(kernels.ELEMENTS, -1, np.int32)
        self._recent = np.empty((FIRST_ROOM, 4), np.int32)
        self._recent_count = 0
        self._in_order = 0
        self._scratch: list[_Scratch] = []
        self._batch = TokenTexts.of([])
        self._batch_bags = np.empty(0, np.uint32)
        self._batch_signatures = np.empty((0, kernels.SIGNATURE_WORDS), np.uint64)
        self._found = self._found_common = np.empty(0, np.int64)
        self._seen = 0

    def __len__(self) -> int:
        return self._count

    def look_at(self, batch: TokenTexts) -> list[int]:
        """Take the next batch and compare each row with the texts so far; the rows that have a match among them."""
        if self._count > GROWTH * self._in_order:
            self._put_in_order()
        rows = len(batch)
        self._batch, self._seen = batch, self._count
        self._batch_bags = np.empty(len(batch.numbers), np.uint32)
        self._batch_signatures = np.empty((rows, kernels.SIGNATURE_WORDS), np.uint64)
        self._found, self._found_common = np.empty(rows, np.int64), np.empty(rows, np.int64)
        self._prepare_scratch(batch)
        in_slices(rows, self.threads, self._look_at_slice)
        return np.flatnonzero(self._found >= 0).tolist()

    def match(self, row: int) -> Match | None:
        """The earliest text above the threshold for a row of the batch, those added since included; or None."""
        found, common = int(self._found[row]), int(self._found_common[row])
        if found < 0 and self._count > self._seen:
            start, end = self._batch.starts[row], self._batch.starts[row + 1]
            found, common = kernels.first_match(
                self.threshold,
                self._half,
                self._seen,
                self._batch.numbers[start:end],
                self._batch_bags[start:end],
                self._batch_signatures[row],
                *self._index(),
                *self._scratch[0].arrays(),
            )
        if found < 0:
            return None
        length = int(self._batch.starts[row + 1] - self._batch.starts[row])
        return found, rouge_l(common, length, int(self._starts[found + 1] - self._starts[found]))

    def add(self, row: int) -> None:
        """Add a row of the batch; one without tokens takes a number too, and is like no other."""
        start, end = int(self._batch.starts[row]), int(self._batch.starts[row + 1])
        at, text = int(self._starts[self._count]), self._count
        self._make_room(at + end - start)
        self._tokens[at : at + end - start] = self._batch.numbers[start:end]
        self._bags[at : at + end - start] = self._batch_bags[start:end]
        self._signatures[text] = self._batch_signatures[row]
        self._starts[text + 1] = at + end - start
        self._count += 1
        self._recent = with_room(self._recent, self._recent_count + end - start)
        self._recent_count = kernels.add_recent(
            self._batch_bags[start:end], text, self._half, self._heads, self._recent, self._recent_count
        )

    def texts(self) -> TokenTexts:
        """All texts, as they were added."""
        return TokenTexts(self._tokens[: self._starts[self._count]].copy(), self._starts[: self._count + 1].copy())

    def add_texts(self, texts: TokenTexts) -> None:
        """Add many texts without asking for any of them."""
        first, at = self._count, int(self._starts[self._count])
        self._count += len(texts)
        self._make_room(at + len(texts.numbers))
        self._tokens[at : at + len(texts.numbers)] = texts.numbers
        self._starts[first : self._count + 1] = at + texts.starts
        self._prepare_scratch(texts)
        in_slices(len(texts), self.threads, partial(self._fill_slice, first))
        self._put_in_order()

    def _put_in_order(self) -> None:
        """Order all elements by how rare they are now, and list every text's under the first few of its own."""
        starts = self._starts[: self._count + 1]
        kernels.count_elements(self._bags[starts[self._in_order] : starts[-1]], self._counts)
        in_slices(self._count, self.threads, self._order_bags)
        total = kernels.count_postings(self._bags, starts, self._count, self._half, self._posting_starts)
        self._postings = np.empty((total, 3), np.int32)
        longest_first = np.argsort(-np.diff(starts), kind="stable")
        kernels.fill_postings(self._bags, starts, longest_first, self._half, self._posting_starts, self._postings)
        self._heads[:] = -1
        self._recent_count = 0
        self._in_order = self._count

    def _prepare_scratch(self, further: TokenTexts) -> None:
        """For the texts so far and further ones."""
        while len(self._scratch) < self.threads:
            self._scratch.append(_Scratch())
        for scratch in self._scratch:
            scratch.make_room(self._count + len(further), int(further.numbers.max(initial=-1)) + 1)

    def _order_bags(self, first: int, last: int, thread: int) -> None:
        kernels.order_bags(self._bags, self._starts, self._counts, first, last)

    def _fill_slice(self, since: int, first: int, last: int, thread: int) -> None:
        first, last, local = since + first, since + last, self._scratch[thread].local
        kernels.fill_bags(self._tokens, self._starts, self._counts, self._bags, self._signatures, local, first, last)

    def _look_at_slice(self, first: int, last: int, thread: int) -> None:
        batch = self._batch
        local = self._scratch[thread].local
        kernels.fill_bags(
            batch.numbers, batch.starts, self._counts, self._batch_bags, self._batch_signatures, local, first, last
        )
        kernels.first_matches(
            self.threshold,
            self._half,
            first,
            last,
            batch.numbers,
            self._batch_bags,
            batch.starts,
            self._batch_signatures,
            *self._index(),
            *self._scratch[thread].arrays(),
            self._found,
            self._found_common,
        )

    def _index(self) -> tuple[NDArray[Any], ...]:
        return (
            self._tokens,
            self._bags,
            self._starts,
            self._signatures,
            self._posting_starts,
            self._postings,
            self._heads,
            self._recent,
        )

    def _make_room(self, tokens: int) -> None:
        self._tokens = with_room(self._tokens, tokens)
        self._bags = with_room(self._bags, tokens)
        self._starts = with_room(self._starts, self._count + 2)
        self._signatures = with_room(self._signatures, self._count + 1)


class _Scratch:
    """What one thread works on: per text its matches, the candidates, and per token its place in the row."""

    def __init__(self) -> None:
        self._matches = np.zeros(FIRST_ROOM, np.int32)
        self._candidates = np.empty(FIRST_ROOM, np.int32)
        self.local = np.full(FIRST_ROOM, -1, np.int32)

    def make_room(self, texts: int, tokens: int) -> None:
        """For so many texts and tokens; what is there is as a search leaves it, so it can be made anew."""
        if texts > len(self._matches):
            self._matches = np.zeros(2 * texts, np.int32)
            self._candidates = np.empty(2 * texts, np.int32)
        if tokens > len(self.local):
            self.local = np.full(2 * tokens, -1, np.int32)

    def arrays(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        return self._matches, self._candidates, self.local
