"""Decontamination: rows that repeat the test split, in whole or in part, in the instruction or in the response."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np

from llamaduo.config.curation import DecontaminationSettings
from llamaduo.curation.index.rouge_index import RougeIndex
from llamaduo.curation.index.rouge_tokens import RougeTokens
from llamaduo.curation.index.token_numbers import TokenTexts
from llamaduo.curation.index.word_hashes import Hashes, Starts, WordHashes, ngram_hashes
from llamaduo.curation.pairs import FilterOfRows, Pair, Rejection

BETWEEN = "\0"
PARTIAL_WORDS = 2
"""At most so many words of a text that is a part of another need not be words of the other: those at its ends."""
TEXTS_PER_PAIR = 2


class DecontaminationFilter(FilterOfRows):
    """The filter `decontamination`: three tests, each against the earliest test row that it finds.

    - `contaminated_substring`: the instruction equals a test instruction; or an instruction or response contains, or is
      contained in, a test instruction or response, where the inner text has at least an n-gram of words;
    - `contaminated_ngrams`: n-grams of one test row (its instruction and its response) cover enough of an
      instruction's or a response's words; the test row that covers most is named;
    - `contaminated_rouge`: ROUGE-L F of the instruction with a test instruction, or of the response with a test
      response, exceeds the threshold; responses shorter than an n-gram (labels, numbers) are not compared.
    """

    def __init__(
        self,
        test: Iterable[Pair],
        settings: DecontaminationSettings,
        tokens: RougeTokens,
        hashes: WordHashes,
        threads: int,
    ) -> None:
        super().__init__()
        test = list(test)
        self.settings = settings
        self._identifiers = [pair.identifier for pair in test]
        self._tokens = tokens
        self._substrings = _Substrings(test, settings.ngram)
        self._ngrams = _Ngrams(test, settings.ngram)
        self._shared = _SharedRuns(test, settings.ngram - PARTIAL_WORDS, hashes)
        self._long_responses = [row for row in range(len(test)) if self._is_long(test[row])]
        texts = [pair.instruction for pair in test], [test[row].response for row in self._long_responses]
        self._instructions, self._responses = (
            _index_of(settings.rouge_threshold, tokens(each), threads) for each in texts
        )

    def look_at(self, pairs: Sequence[Pair], open_rows: Sequence[int]) -> list[int]:
        self._rejections = {}
        if self._identifiers and open_rows:
            self._look_for_copies(pairs, open_rows)
            self._look_for_rouge(pairs, [row for row in open_rows if row not in self._rejections])
        return list(self._rejections)

    def _look_for_copies(self, pairs: Sequence[Pair], rows: Sequence[int]) -> None:
        shared = self._shared.rows([pairs[row] for row in rows])
        for row, is_shared in zip(rows, shared, strict=True):
            pair = pairs[row]
            found = self._substrings.find(pair) if is_shared else self._substrings.equal(pair)
            if found is not None:
                self._rejections[row] = Rejection("contaminated_substring", self._identifiers[found], 1.0)
            elif is_shared:
                covering = [
                    self._ngrams.most_covering(words) for words in (pair.instruction_words, pair.response_words)
                ]
                number, share = max(covering, key=lambda each: each[1])
                if number is not None and share >= self.settings.overlap / 100:
                    self._rejections[row] = Rejection("contaminated_ngrams", self._identifiers[number], share)

    def _look_for_rouge(self, pairs: Sequence[Pair], rows: Sequence[int]) -> None:
        self._instructions.look_at(self._tokens(pairs[row].instruction for row in rows))
        for place, row in enumerate(rows):
            match = self._instructions.match(place)
            if match is not None:
                self._rejections[row] = Rejection("contaminated_rouge", self._identifiers[match[0]], match[1])
        rows = [row for row in rows if row not in self._rejections and self._is_long(pairs[row])]
        self._responses.look_at(self._tokens(pairs[row].response for row in rows))
        for place, row in enumerate(rows):
            match = self._responses.match(place)
            if match is not None:
                identifier = self._identifiers[self._long_responses[match[0]]]
                self._rejections[row] = Rejection("contaminated_rouge", identifier, match[1])

    def _is_long(self, pair: Pair) -> bool:
        return len(pair.response_words) >= self.settings.ngram


def _index_of(threshold: float, texts: TokenTexts, threads: int) -> RougeIndex:
    index = RougeIndex(threshold, threads)
    index.add_texts(texts)
    return index


class _SharedRuns:
    """Which rows share a run of words with any test row: only those can share a long text or an n-gram.

    Where one text is a part of another, the words at its ends may be parts of words, those between are whole.
    """

    def __init__(self, test: Sequence[Pair], length: int, hashes: WordHashes) -> None:
        self._length, self._hashes = length, hashes
        self._test = np.unique(self._runs(test)[0]) if length > 0 else None

    def rows(self, pairs: Sequence[Pair]) -> list[bool]:
        if self._test is None:
            return [True] * len(pairs)
        runs, starts = self._runs(pairs)
        texts = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        shared = np.zeros(len(pairs), bool)
        shared[texts[np.isin(runs, self._test)] // TEXTS_PER_PAIR] = True
        return shared.tolist()

    def _runs(self, pairs: Sequence[Pair]) -> tuple[Hashes, Starts]:
        texts = [words for pair in pairs for words in (pair.instruction_words, pair.response_words)]
        return ngram_hashes(*self._hashes.rows(texts), self._length)


class _Substrings:
    """Finds whole test texts in a row's texts, and a row's whole texts in test texts."""

    def __init__(self, test: list[Pair], least_words: int) -> None:
        self._least_words = least_words
        self._equal: dict[str, int] = {}
        texts: list[tuple[int, str]] = []
        for number, pair in enumerate(test):
            self._equal.setdefault(pair.normalised_instruction, number)
            texts += [(number, text) for text, count in _texts(pair) if count >= least_words]
        self._joined = BETWEEN.join(text for _, text in texts)
        self._starts = list(accumulate((len(text) + len(BETWEEN) for _, text in texts), initial=0))
        self._numbers = [number for number, _ in texts]
        # Every long text begins with as many characters as the shortest one has: only where a row has one of these
        # beginnings can it contain a whole test text.
        self._beginning = min((len(text) for _, text in texts), default=0)
        self._by_beginning: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for number, text in texts:
            self._by_beginning[text[: self._beginning]].append((number, text))

    def find(self, pair: Pair) -> int | None:
        """The earliest test row found."""
        found = set(self._within_test(pair)) | set(self._within(pair))
        equal = self.equal(pair)
        return min(found if equal is None else found | {equal}, default=None)

    def equal(self, pair: Pair) -> int | None:
        """The earliest test row whose instruction equals that of the pair."""
        return self._equal.get(pair.normalised_instruction)

    def _within_test(self, pair: Pair) -> Iterable[int]:
        for text, count in _texts(pair):
            at = self._joined.find(text) if count >= self._least_words else -1
            if at >= 0:
                yield self._numbers[bisect_right(self._starts, at) - 1]

    def _within(self, pair: Pair) -> Iterable[int]:
        if not self._beginning:
            return
        for text, _ in _texts(pair):
            windows = {text[at : at + self._beginning] for at in range(len(text) - self._beginning + 1)}
            for beginning in windows & self._by_beginning.keys():
                yield from (number for number, inner in self._by_beginning[beginning] if inner in text)


class _Ngrams:
    """Which test rows have which n-grams of words."""

    def __init__(self, test: list[Pair], length: int) -> None:
        self._length = length
        rows: dict[tuple[str, ...], dict[int, None]] = defaultdict(dict)
        for number, pair in enumerate(test):
            for words in (pair.instruction_words, pair.response_words):
                for _, ngram in self._ngrams(words):
                    rows[ngram][number] = None
        self._rows = {ngram: tuple(numbers) for ngram, numbers in rows.items()}

    def most_covering(self, words: list[str]) -> tuple[int | None, float]:
        """The test row whose n-grams cover most of the words, the earliest among equals, and the share covered."""
        covered: dict[int, int] = defaultdict(int)
        end: dict[int, int] = defaultdict(int)
        for start, ngram in self._ngrams(words):
            for number in self._rows.get(ngram, ()):
                covered[number] += start + self._length - max(start, end[number])
                end[number] = start + self._length
        if not covered:
            return None, 0.0
        number = min(covered, key=lambda number: (-covered[number], number))
        return number, covered[number] / len(words)

    def _ngrams(self, words: list[str]) -> Iterable[tuple[int, tuple[str, ...]]]:
        return ((start, tuple(words[start : start + self._length])) for start in range(len(words) - self._length + 1))


def _texts(pair: Pair) -> tuple[tuple[str, int], tuple[str, int]]:
    """Instruction and response, normalised, with how many words each has."""
    return (
        (pair.normalised_instruction, len(pair.instruction_words)),
        (pair.normalised_response, len(pair.response_words)),
    )
