"""Tokens as numbers: equal tokens have equal ones, given in the order in which they are first met."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise

import numpy as np
from numpy.typing import NDArray

from llamaduo.curation.index import word_kernels as kernels
from llamaduo.curation.index.room import with_room

FIRST_SLOTS = 1 << 12


@dataclass(frozen=True)
class TokenTexts:
    """Texts as numbers of their tokens: row `i` is `numbers[starts[i] : starts[i + 1]]`."""

    numbers: NDArray[np.int32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> NDArray[np.int32]:
        return self.numbers[self.starts[row] : self.starts[row + 1]]

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> "TokenTexts":
        starts = np.array(list(accumulate(map(len, rows), initial=0)), dtype=np.int64)
        return cls(np.fromiter(chain.from_iterable(rows), dtype=np.int32, count=int(starts[-1])), starts)


class TokenNumbers:
    """Gives tokens numbers, by a hash table over the words' bytes that is searched by compiled code.

    `token`: what makes a token of a word; None if the words themselves are the tokens.
    """

    def __init__(self, token: Callable[[str], str] | None) -> None:
        self._token = token
        self._tokens: dict[str, int] = {}
        self._token_of_word = np.empty(0, np.int32)
        self._clear()

    def of_rows(self, rows: Sequence[bytes]) -> TokenTexts:
        """The numbers of each row's words, which are in UTF-8 and have spaces between them."""
        numbers, starts = self._words_of(rows)
        if self._token is None:
            return TokenTexts(numbers, starts)
        known = len(self._token_of_word)
        further = [self._number(self._token(word)) for word in self._words_from(known)]
        self._token_of_word = np.concatenate([self._token_of_word, np.array(further, np.int32)])
        return TokenTexts(self._token_of_word[numbers], starts)

    def vocabulary(self) -> list[str]:
        """Every token met, by its number."""
        return list(self._words_from(0) if self._token is None else self._tokens)

    def restore(self, vocabulary: Sequence[str]) -> None:
        """Give these tokens the numbers of their places, and forget what was given before."""
        self._clear()
        if self._token is None:
            self._words_of([token.encode("utf-8", "surrogatepass") for token in vocabulary])
        else:
            self._token_of_word = np.empty(0, np.int32)
            self._tokens = {token: number for number, token in enumerate(vocabulary)}

    def _clear(self) -> None:
        self._slots = np.full(FIRST_SLOTS, -1, np.int32)
        self._letters = np.empty(FIRST_SLOTS, np.uint8)
        self._ends = np.zeros(FIRST_SLOTS, np.int64)
        self._count = 0

    def _words_of(self, rows: Sequence[bytes]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        text = np.frombuffer(b"".join(row + kernels.ROW_END for row in rows), np.uint8)
        numbers, starts = np.empty(len(text) // 2 + 1, np.int32), np.zeros(len(rows) + 1, np.int64)
        at, found, row = 0, 0, 0
        while at < len(text):
            at, found, row, self._count = kernels.number_words(
                text, self._slots, self._letters, self._ends, numbers, starts, at, found, row, self._count
            )
            if at < len(text):
                self._make_room(len(text) - at)
        return numbers[:found].copy(), starts

    def _make_room(self, letters: int) -> None:
        """For at least one more word of so many letters."""
        self._slots = np.full(2 * len(self._slots), -1, np.int32)
        self._ends = with_room(self._ends, len(self._slots))
        self._letters = with_room(self._letters, int(self._ends[self._count]) + letters)
        kernels.place_words(self._letters, self._ends, self._count, self._slots)

    def _words_from(self, first: int) -> list[str]:
        ends = self._ends[first : self._count + 1].tolist()
        letters = self._letters[: self._ends[self._count]].tobytes()
        return [letters[start:end].decode("utf-8", "surrogatepass") for start, end in pairwise(ends)]

    def _number(self, token: str) -> int:
        return self._tokens.setdefault(token, len(self._tokens))
