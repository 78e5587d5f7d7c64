"""Decontamination: rows that repeat the test split, in whole or in part, in the instruction or in the response."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from itertools import accumulate

from llamaduo.config.curation import DecontaminationSettings
from llamaduo.curation.novelty import RougeIndex, RougeTokens
from llamaduo.curation.pairs import Pair, Rejection

BETWEEN = "\0"


class DecontaminationFilter:
    """The filter `decontamination`: three tests, each against the earliest test row that it finds.

    - `contaminated_substring`: the instruction equals a test instruction; or an instruction or response contains, or is
      contained in, a test instruction or response, where the inner text has at least an n-gram of words;
    - `contaminated_ngrams`: n-grams of one test row (its instruction and its response) cover enough of an
      instruction's or a response's words; the test row that covers most is named;
    - `contaminated_rouge`: ROUGE-L F of the instruction with a test instruction, or of the response with a test
      response, exceeds the threshold; responses shorter than an n-gram (labels, numbers) are not compared.
    """

    def __init__(self, test: Iterable[Pair], settings: DecontaminationSettings, tokens: RougeTokens) -> None:
        test = list(test)
        self.settings = settings
        self._tokens = tokens
        self._substrings = _Substrings(test, settings.ngram)
        self._ngrams = _Ngrams(test, settings.ngram)
        self._instructions = RougeIndex(settings.rouge_threshold)
        self._responses = RougeIndex(settings.rouge_threshold)
        for pair in test:
            self._instructions.add(pair.identifier, tokens(pair.instruction))
            if len(pair.response_words) >= settings.ngram:
                self._responses.add(pair.identifier, tokens(pair.response))

    def check(self, pair: Pair) -> Rejection | None:
        identifier = self._substrings.find(pair)
        if identifier is not None:
            return Rejection("contaminated_substring", identifier, 1.0)
        covering = [self._ngrams.most_covering(words) for words in (pair.instruction_words, pair.response_words)]
        identifier, share = max(covering, key=lambda found: found[1])
        if identifier is not None and share >= self.settings.overlap / 100:
            return Rejection("contaminated_ngrams", identifier, share)
        match = self._instructions.first_match(self._tokens(pair.instruction))
        if match is None and len(pair.response_words) >= self.settings.ngram:
            match = self._responses.first_match(self._tokens(pair.response))
        return None if match is None else Rejection("contaminated_rouge", *match)

    def add(self, pair: Pair) -> None:
        """Nothing to note: rows are compared with the test split only."""


class _Substrings:
    """Finds whole test texts in a row's texts, and a row's whole texts in test texts."""

    def __init__(self, test: list[Pair], least_words: int) -> None:
        self._least_words = least_words
        self._equal: dict[str, int] = {}
        self._identifiers = [pair.identifier for pair in test]
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

    def find(self, pair: Pair) -> str | None:
        """The identifier of the earliest test row found."""
        found = set(self._within_test(pair)) | set(self._within(pair))
        if pair.normalised_instruction in self._equal:
            found.add(self._equal[pair.normalised_instruction])
        return self._identifiers[min(found)] if found else None

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
        self._identifiers = [pair.identifier for pair in test]
        rows: dict[tuple[str, ...], dict[int, None]] = defaultdict(dict)
        for number, pair in enumerate(test):
            for words in (pair.instruction_words, pair.response_words):
                for _, ngram in self._ngrams(words):
                    rows[ngram][number] = None
        self._rows = {ngram: tuple(numbers) for ngram, numbers in rows.items()}

    def most_covering(self, words: list[str]) -> tuple[str | None, float]:
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
        return self._identifiers[number], covered[number] / len(words)

    def _ngrams(self, words: list[str]) -> Iterable[tuple[int, tuple[str, ...]]]:
        return ((start, tuple(words[start : start + self._length])) for start in range(len(words) - self._length + 1))


def _texts(pair: Pair) -> tuple[tuple[str, int], tuple[str, int]]:
    """Instruction and response, normalised, with how many words each has."""
    return (
        (pair.normalised_instruction, len(pair.instruction_words)),
        (pair.normalised_response, len(pair.response_words)),
    )
