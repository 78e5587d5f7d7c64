"""Near duplicates: pairs that share most of their word shingles with an earlier one."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from llamaduo.config.curation import MinHashSettings
from llamaduo.curation.index.lsh_index import LshIndex
from llamaduo.curation.index.word_hashes import WordHashes, ngram_hashes
from llamaduo.curation.pairs import Pair, Rejection


class MinHashFilter:
    """The filter `minhash`: Jaccard similarity, at least the threshold, with the earliest such pair seen before.

    A shingle is a run of words of the instruction and the response taken together; fewer words make one shingle.
    """

    def __init__(self, settings: MinHashSettings, identifiers: Sequence[str], hashes: WordHashes, threads: int) -> None:
        self._settings, self._identifiers, self._hashes = settings, identifiers, hashes
        self._index = LshIndex(settings, threads)
        self._places: dict[int, int] = {}

    def look_at(self, pairs: Sequence[Pair], open_rows: Sequence[int]) -> list[int]:
        self._places = {row: place for place, row in enumerate(open_rows)}
        words, starts = self._hashes.rows(
            [pairs[row].instruction_words + pairs[row].response_words for row in open_rows]
        )
        return [
            open_rows[place]
            for place in self._index.look_at(*ngram_hashes(words, starts, self._settings.shingle_words, True))
        ]

    def check(self, row: int) -> Rejection | None:
        match = self._index.match(self._places[row])
        return None if match is None else Rejection("near_duplicate", self._identifiers[match[0]], match[1])

    def add(self, row: int) -> None:
        self._index.add(self._places[row])

    def state(self) -> dict[str, NDArray[Any]]:
        return self._index.state()

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._index.restore(state)
