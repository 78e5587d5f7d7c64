"""Texts as the tokens that ROUGE-L compares, each token a number."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray

from llamaduo.curation.text import normalise, words

_NOT_BASIC = bytes(code for code in range(256) if not (code < 128 and chr(code).isalnum()))
# Every byte of UTF-8 that is not a lower-case letter or a digit becomes a space: the same as rouge-score's expressions.
_TO_SPACES = bytes(32 if code in _NOT_BASIC else code for code in range(256))
_OTHER_CHARACTERS = re.compile(r"[^\x00-\x7f]+")
SHORTEST_STEMMED = 4
"""rouge-score stems only words of more than three characters."""
MARK = " "
"""Begins the tokens that are not ROUGE's own, none of which has a space."""


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


class RougeTokens:
    """Splits texts as rouge-score 0.1.2 does, and texts in other scripts, of which it sees nothing, into Unicode words.

    Tokens of the two kinds never equal each other, so only texts of the same kind are compared. Equal tokens have
    equal numbers; a number depends on which texts came before, the equality of two does not.
    """

    def __init__(self, stemmer: bool, other_scripts: float) -> None:
        """`other_scripts`: percentage of letters and digits below which a to z and 0 to 9 are too few to compare."""
        self._least_share = other_scripts / 100
        self._tokens: dict[str, int] = {}
        self._numbers = _Stems(self._tokens) if stemmer else _Words(self._tokens)

    @property
    def vocabulary(self) -> list[str]:
        """Every token met, by its number."""
        return list(self._tokens)

    def restore(self, vocabulary: Sequence[str]) -> None:
        """Take over the numbers of another such object. Own ones that were given before are void."""
        self._tokens.clear()
        self._numbers.clear()
        self._tokens.update((token, number) for number, token in enumerate(vocabulary))

    def __call__(self, texts: Iterable[str]) -> TokenTexts:
        """The tokens of each text: ROUGE's, else Unicode words, else characters other than spaces; none if blank."""
        return TokenTexts.of([self._split(text) for text in texts])

    def _split(self, text: str) -> list[int]:
        lowered = text.lower()
        tokens = lowered.encode("utf-8", "surrogatepass").translate(_TO_SPACES).split()
        if tokens and (text.isascii() or self._is_mostly_basic(lowered)):
            return list(map(self._numbers.__getitem__, tokens))
        normalised = normalise(text)
        others = words(normalised) or normalised.replace(" ", "")
        return [self._tokens.setdefault(MARK + word, len(self._tokens)) for word in others]

    def _is_mostly_basic(self, lowered: str) -> bool:
        basic = len(lowered.encode("ascii", "ignore").translate(None, _NOT_BASIC))
        others = sum(map(str.isalnum, "".join(_OTHER_CHARACTERS.findall(lowered))))
        return basic >= self._least_share * (basic + others)


class _Words(dict[bytes, int]):
    """The numbers of ROUGE's words, given when they are first asked for."""

    def __init__(self, tokens: dict[str, int]) -> None:
        super().__init__()
        self._tokens = tokens

    def __missing__(self, word: bytes) -> int:
        number = self[word] = self._tokens.setdefault(self._token(word.decode()), len(self._tokens))
        return number

    def _token(self, word: str) -> str:
        return word


class _Stems(_Words):
    """The numbers of words by their stem; each distinct word is stemmed once."""

    def __init__(self, tokens: dict[str, int]) -> None:
        from nltk.stem.porter import PorterStemmer

        super().__init__(tokens)
        self._stem = PorterStemmer().stem

    def _token(self, word: str) -> str:
        return self._stem(word) if len(word) >= SHORTEST_STEMMED else word
