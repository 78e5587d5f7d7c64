"""Texts in the form in which they are compared: normalised, as Unicode words, without regard to script."""

import re
import unicodedata
from functools import cache

# Scripts written without spaces between words: Thai, Lao, Tibetan, Myanmar, Khmer, kana, Han.
UNSPACED = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
)
_UNSPACED_CHARACTER = re.compile(f"[{UNSPACED}]")
# Where Unicode's combining marks are: up to Adlam, and the variation selectors; looking at all planes takes seconds.
MARK_BLOCKS = (*range(0x300, 0x1F000), *range(0xE0100, 0xE01F0))
_BASIC_WORD = re.compile(r"\w+", re.ASCII)


def normalise(text: str) -> str:
    """`text` in NFKC, case-folded, each run of white space one space, none at the ends."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.casefold().split())


def words(normalised: str) -> list[str]:
    """The words of a normalised text in any script.

    A word is a run of letters, digits, underscores and the marks that belong to them; in scripts written without
    spaces it is one character with its marks. A text of neither (emoji, punctuation) has no words.
    """
    if normalised.isascii():
        return _BASIC_WORD.findall(normalised)
    return _word_patterns()[bool(_UNSPACED_CHARACTER.search(normalised))].findall(normalised)


@cache
def _word_patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """The pattern of a word for texts without and with characters of unspaced scripts."""
    marks = _ranges([code for code in MARK_BLOCKS if unicodedata.category(chr(code))[0] == "M"])
    spaced = re.compile(rf"[\w{marks}]+")
    mixed = re.compile(rf"[{UNSPACED}][{marks}]*|(?:(?![{UNSPACED}])[\w{marks}])+")
    return spaced, mixed


def _ranges(codes: list[int]) -> str:
    """Ascending code points as the inside of a regular expression's character class."""
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)
