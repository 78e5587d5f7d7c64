"""How varied a pool is: distinct n-grams, how its instructions open, and what each chunk adds that is new.

distinct-n is the share of distinct ones among all n-grams of words (Li et al., "A diversity-promoting objective
function for neural conversation models", NAACL 2016). It falls as a pool grows: compare pools of equal size.

Self-Instruct counts pairs of root verb and direct object, which takes a parser per language. The opening, the first two
words of an instruction that are not function words ("write story", "classify review"), needs none and reads alike:
instructions mostly open with their verb. Without regard to function words in languages other than English.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from llamaduo.curation.index.word_hashes import Hashes, WordHashes, ngram_hashes
from llamaduo.curation.pairs import Pair

NGRAMS = (1, 2, 3)
OPENING_WORDS = 2
SHOWN_OPENINGS = 20
NEW_NGRAM = 3
BATCH_PAIRS = 1024
ENGLISH_FUNCTION_WORDS = """
a about all an and any are as at be by can could do does for from give given had has have how i if in into is it its me
my of on one or our please s should so some such t that the their them then there these they this to up us was we were
what when where which who why will with would you your
"""
FUNCTION_WORDS = frozenset(ENGLISH_FUNCTION_WORDS.split())


class Diversity:
    """Takes a pool's pairs in their order and gives its figures."""

    def __init__(self) -> None:
        self._hashes = WordHashes()
        self._ngrams: dict[tuple[str, int], list[Hashes]] = {}
        self._words: Counter[str] = Counter()
        self._openings: Counter[str] = Counter()
        self._trigrams_per_row: list[np.ndarray] = []
        self._rows = 0

    def add(self, pairs: Sequence[Pair]) -> None:
        """Take the next accepted pairs."""
        for start in range(0, len(pairs), BATCH_PAIRS):
            self._add(pairs[start : start + BATCH_PAIRS])

    def figures(self, chunks: Sequence[tuple[int, int, int]]) -> dict[str, Any]:
        """The figures of the pairs so far.

        `chunks`: per chunk its rows, how many were accepted (together all pairs), and how many were rejected because
        they repeat earlier ones. Returns rows; of instruction and response the words and `distinct_n` (0 to 1); of
        openings how many are distinct and the most frequent; per chunk its counts, its accepted instructions' word
        trigrams, and how many of these are in no earlier instruction.
        """
        return {
            "rows": self._rows,
            **{text: self._distinct(text) for text in ("instruction", "response")},
            "openings": {
                "distinct": len(self._openings),
                "most_frequent": [
                    {"words": words, "rows": rows}
                    for words, rows in sorted(self._openings.items(), key=lambda each: (-each[1], each[0]))[
                        :SHOWN_OPENINGS
                    ]
                ],
            },
            "chunks": self._chunks(chunks),
        }

    def _add(self, pairs: Sequence[Pair]) -> None:
        self._rows += len(pairs)
        for text in ("instruction", "response"):
            rows = [getattr(pair, f"{text}_words") for pair in pairs]
            words, starts = self._hashes.rows(rows)
            self._words[text] += len(words)
            for length in NGRAMS:
                ngrams, ngram_starts = ngram_hashes(words, starts, length)
                self._ngrams.setdefault((text, length), []).append(ngrams)
                if text == "instruction" and length == NEW_NGRAM:
                    self._trigrams_per_row.append(np.diff(ngram_starts))
        self._openings.update(filter(None, (_opening(pair.instruction_words) for pair in pairs)))

    def _distinct(self, text: str) -> dict[str, Any]:
        shares = {}
        for length in NGRAMS:
            ngrams = _joined(self._ngrams.get((text, length), []))
            shares[f"distinct_{length}"] = round(len(np.unique(ngrams)) / len(ngrams), 6) if len(ngrams) else 0.0
        return {"words": self._words[text], **shares}

    def _chunks(self, chunks: Sequence[tuple[int, int, int]]) -> list[dict[str, int]]:
        ngrams = _joined(self._ngrams.get(("instruction", NEW_NGRAM), []))
        _, first = np.unique(ngrams, return_index=True)
        per_row = np.concatenate([np.zeros(1, np.int64), *self._trigrams_per_row])
        row_ends = np.cumsum(per_row)
        accepted = np.concatenate([[0], np.cumsum([accepted for _, accepted, _ in chunks])]).astype(np.int64)
        ends = row_ends[accepted]
        new = np.diff(np.searchsorted(np.sort(first), ends)).tolist()
        return [
            {
                "rows": rows,
                "accepted": count,
                "repeated": repeated,
                "trigrams": int(ends[number + 1] - ends[number]),
                "new_trigrams": int(new[number]),
            }
            for number, (rows, count, repeated) in enumerate(chunks)
        ]


def _opening(words: Sequence[str]) -> str:
    content = [word for word in words if word not in FUNCTION_WORDS and word.isalpha()]
    return " ".join((content or words)[:OPENING_WORDS])


def _joined(parts: Sequence[Hashes]) -> Hashes:
    return np.concatenate(parts) if parts else np.empty(0, np.uint64)
