"""Texts as the tokens that ROUGE-L compares, each token a number."""

import re
from collections.abc import Callable, Iterable, Sequence

from llamaduo.curation.index.token_numbers import TokenNumbers, TokenTexts
from llamaduo.curation.text import normalise, words

_NOT_BASIC = bytes(code for code in range(256) if not (code < 128 and chr(code).isalnum()))
# Every byte of UTF-8 that is not a lower-case letter or a digit becomes a space: the same as rouge-score's expressions.
_TO_SPACES = bytes(32 if code in _NOT_BASIC else code for code in range(256))
_OTHER_CHARACTERS = re.compile(r"[^\x00-\x7f]+")
SHORTEST_STEMMED = 4
"""rouge-score stems only words of more than three characters."""
MARK = "\0"
"""Begins the tokens that are not ROUGE's own, all of which are letters and digits."""


class RougeTokens:
    """Splits texts as rouge-score 0.1.2 does, and texts in other scripts, of which it sees nothing, into Unicode words.

    Tokens of the two kinds never equal each other, so only texts of the same kind are compared. Equal tokens have
    equal numbers; a number depends on which texts came before, the equality of two does not.
    """

    def __init__(self, stemmer: bool, other_scripts: float) -> None:
        """`other_scripts`: percentage of letters and digits below which a to z and 0 to 9 are too few to compare."""
        self._least_share = other_scripts / 100
        self._numbers = TokenNumbers(_stem() if stemmer else None)

    @property
    def vocabulary(self) -> list[str]:
        """Every token met, by its number."""
        return self._numbers.vocabulary()

    def restore(self, vocabulary: Sequence[str]) -> None:
        """Take over the numbers of another such object. Own ones that were given before are void."""
        self._numbers.restore(vocabulary)

    def __call__(self, texts: Iterable[str]) -> TokenTexts:
        """The tokens of each text: ROUGE's, else Unicode words, else characters other than spaces; none if blank."""
        return self._numbers.of_rows([self._split(text) for text in texts])

    def _split(self, text: str) -> bytes:
        """The words of a text in UTF-8, with spaces between them."""
        lowered = text.lower()
        basic = lowered.encode("utf-8", "surrogatepass").translate(_TO_SPACES)
        if not basic.isspace() and (text.isascii() or self._is_mostly_basic(lowered)):
            return basic
        normalised = normalise(text)
        others = words(normalised) or normalised.replace(" ", "")
        return " ".join(MARK + word for word in others).encode("utf-8", "surrogatepass")

    def _is_mostly_basic(self, lowered: str) -> bool:
        ascii_only = lowered.encode("ascii", "ignore")
        basic = len(ascii_only.translate(None, _NOT_BASIC))
        if basic >= self._least_share * (basic + len(lowered) - len(ascii_only)):
            return True
        others = sum(map(str.isalnum, "".join(_OTHER_CHARACTERS.findall(lowered))))
        return basic >= self._least_share * (basic + others)


def _stem() -> Callable[[str], str]:
    """What rouge-score makes of a word with its stemmer."""
    from nltk.stem.porter import PorterStemmer

    stem = PorterStemmer().stem
    return lambda word: stem(word) if len(word) >= SHORTEST_STEMMED and not word.startswith(MARK) else word
