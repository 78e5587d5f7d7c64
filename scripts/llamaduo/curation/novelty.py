"""ROUGE-L novelty: exactly the decisions of rouge-score against every earlier text, without comparing all in full."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rouge_score.tokenize import tokenize

from llamaduo.curation.lcs import lcs_length, positions, rouge_l
from llamaduo.curation.pairs import Pair, Rejection
from llamaduo.curation.text import normalise, words

# Bounds are computed in other floating-point operations than the score itself: they give way by this much.
SLACK = 1e-9
BUCKETS = 128
LARGEST_COUNT = 255
BLOCK = 4096


class RougeTokens:
    """Splits texts as rouge-score does, and texts in other scripts, of which it sees nothing, into Unicode words.

    Tokens of the two kinds never equal each other, so only texts of the same kind are compared.
    """

    def __init__(self, stemmer: bool, other_scripts: float) -> None:
        """`other_scripts`: percentage of letters and digits below which a to z and 0 to 9 are too few to compare."""
        self._stemmer = _CachedStemmer() if stemmer else None
        self._least_share = other_scripts / 100

    def __call__(self, text: str) -> list[Hashable]:
        """The tokens of `text`: ROUGE's, else Unicode words, else characters other than spaces; none if blank."""
        tokens: list[Hashable] = tokenize(text, self._stemmer)
        if tokens and (text.isascii() or self._is_mostly_basic(text)):
            return tokens
        normalised = normalise(text)
        return [(word,) for word in words(normalised) or normalised.replace(" ", "")]

    def _is_mostly_basic(self, text: str) -> bool:
        characters = [character for character in text.lower() if character.isalnum()]
        return sum(character.isascii() for character in characters) >= self._least_share * len(characters)


class _CachedStemmer:
    """Porter's stemmer as rouge-score uses it, which stems each distinct word once."""

    def __init__(self) -> None:
        from nltk.stem.porter import PorterStemmer

        self.stem = cache(PorterStemmer().stem)


class RougeIndex:
    """Texts in the order added; finds the earliest whose ROUGE-L F with a given text exceeds the threshold.

    Four tests, each tighter and dearer than the one before: the lengths; the overlap of tokens counted in buckets, for
    all texts at once; the true overlap of tokens; the longest common subsequence. Only the last one says yes.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._vocabulary: dict[Hashable, int] = {}
        self._identifiers: list[str] = []
        self._texts: list[_Text] = []
        self._lengths = np.zeros(BLOCK, dtype=np.int64)
        self._buckets = np.zeros((BLOCK, BUCKETS), dtype=np.uint8)
        self._beyond = np.zeros(BLOCK, dtype=np.int64)
        self._probe_counts = np.zeros(BLOCK, dtype=np.int32)

    def add(self, identifier: str, tokens: Sequence[Hashable]) -> None:
        """Note a text by its tokens; one without tokens is like no other and is left out."""
        if not tokens:
            return
        numbers = [self._vocabulary.setdefault(token, len(self._vocabulary)) for token in tokens]
        text = _Text.of(numbers)
        count = len(self._texts)
        if count == len(self._lengths):
            self._lengths = _doubled(self._lengths)
            self._buckets = _doubled(self._buckets)
            self._beyond = _doubled(self._beyond)
        while len(self._probe_counts) < len(self._vocabulary):
            self._probe_counts = _doubled(self._probe_counts)
        self._lengths[count] = len(numbers)
        self._buckets[count], self._beyond[count] = _bucket_counts(text)
        self._texts.append(text)
        self._identifiers.append(identifier)

    def first_match(self, tokens: Sequence[Hashable]) -> tuple[str, float] | None:
        """The identifier and score of the earliest text that exceeds the threshold, or None."""
        # Tokens that are in no text count for the length only.
        numbers = [self._vocabulary.get(token, -1) for token in tokens]
        probe = _Text.of([number for number in numbers if number >= 0])
        self._probe_counts[probe.distinct] = probe.repeats
        where: dict[Hashable, int] | None = None
        try:
            for position in self._candidates(probe, len(numbers)):
                text = self._texts[position]
                overlap = np.minimum(self._probe_counts[text.distinct], text.repeats).sum()
                if overlap <= self._least(len(numbers) + len(text.tokens)):
                    continue
                where = positions(numbers) if where is None else where
                common = lcs_length(where, len(numbers), text.tokens.tolist())
                score = rouge_l(common, len(numbers), len(text.tokens))
                if score > self.threshold:
                    return self._identifiers[position], score
        finally:
            self._probe_counts[probe.distinct] = 0
        return None

    def _candidates(self, probe: "_Text", length: int) -> Iterator[int]:
        """Positions of texts, ascending, that the lengths and the bucket counts do not rule out."""
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
    def of(cls, numbers: Sequence[int]) -> "_Text":
        tokens = np.array(numbers, dtype=np.int32)
        distinct, repeats = np.unique(tokens, return_counts=True)
        return cls(tokens, distinct, repeats.astype(np.int32))


def _bucket_counts(text: _Text) -> tuple[NDArray[np.uint8], int]:
    """How many tokens fall into each bucket, up to `LARGEST_COUNT`, and how many are beyond that in all buckets."""
    counts = np.bincount(text.tokens % BUCKETS, minlength=BUCKETS)
    kept = np.minimum(counts, LARGEST_COUNT)
    return kept.astype(np.uint8), int((counts - kept).sum())


def _doubled(array: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([array, np.zeros_like(array)])


class NoveltyFilter:
    """The filter `novelty`: the instruction's ROUGE-L F with an earlier one exceeds the threshold."""

    def __init__(self, threshold: float, tokens: RougeTokens) -> None:
        self._index = RougeIndex(threshold)
        self._tokens = tokens
        self._last: tuple[Pair, list[Hashable]] | None = None

    def check(self, pair: Pair) -> Rejection | None:
        match = self._index.first_match(self._tokens_of(pair))
        return None if match is None else Rejection("not_novel", *match)

    def add(self, pair: Pair) -> None:
        self._index.add(pair.identifier, self._tokens_of(pair))

    def _tokens_of(self, pair: Pair) -> list[Hashable]:
        """The instruction's tokens; those of the last pair are at hand, since it is checked, then added."""
        if self._last is None or self._last[0] is not pair:
            self._last = pair, self._tokens(pair.instruction)
        return self._last[1]
