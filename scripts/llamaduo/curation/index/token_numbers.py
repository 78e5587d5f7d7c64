"""Tokens as numbers: equal tokens have equal ones, given in the order in which they are first met."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


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


class TokenNumbers(Protocol):
    """Gives tokens numbers. A token is what is made of a word; without any such rule, the word itself."""

    def of_rows(self, rows: Sequence[bytes]) -> TokenTexts:
        """The numbers of each row's words, which are in UTF-8 and have spaces between them."""

    def vocabulary(self) -> list[str]:
        """Every token met, by its number."""

    def restore(self, vocabulary: Sequence[str]) -> None:
        """Give these tokens the numbers of their places, and forget what was given before."""


class PlainNumbers(dict[bytes, int]):
    """The number of each word, looked up in a dictionary."""

    def __init__(self, token: Callable[[str], str] | None) -> None:
        super().__init__()
        self._token = token
        self._tokens: dict[str, int] = {}

    def __missing__(self, word: bytes) -> int:
        token = word.decode("utf-8", "surrogatepass")
        if self._token is not None:
            token = self._token(token)
        number = self[word] = self._tokens.setdefault(token, len(self._tokens))
        return number

    def of_rows(self, rows: Sequence[bytes]) -> TokenTexts:
        return TokenTexts.of([list(map(self.__getitem__, row.split())) for row in rows])

    def vocabulary(self) -> list[str]:
        return list(self._tokens)

    def restore(self, vocabulary: Sequence[str]) -> None:
        self.clear()
        self._tokens = {token: number for number, token in enumerate(vocabulary)}
