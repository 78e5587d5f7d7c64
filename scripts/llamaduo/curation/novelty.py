"""ROUGE-L novelty: instructions that are not too near to an earlier one, exactly as rouge-score measures it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamaduo.curation.index.rouge_index import RougeIndex
from llamaduo.curation.index.rouge_tokens import RougeTokens
from llamaduo.curation.index.token_numbers import TokenTexts
from llamaduo.curation.pairs import Pair, Rejection


class NoveltyFilter:
    """The filter `novelty`: the instruction's ROUGE-L F with an earlier one exceeds the threshold."""

    def __init__(self, threshold: float, tokens: RougeTokens, identifiers: Sequence[str], threads: int) -> None:
        self._index = RougeIndex(threshold, threads)
        self._tokens, self._identifiers = tokens, identifiers
        self._places: dict[int, int] = {}

    def look_at(self, pairs: Sequence[Pair], open_rows: Sequence[int]) -> list[int]:
        self._places = {row: place for place, row in enumerate(open_rows)}
        found = self._index.look_at(self._tokens(pairs[row].instruction for row in open_rows))
        return [open_rows[place] for place in found]

    def check(self, row: int) -> Rejection | None:
        match = self._index.match(self._places[row])
        return None if match is None else Rejection("not_novel", self._identifiers[match[0]], match[1])

    def add(self, row: int) -> None:
        self._index.add(self._places[row])

    def state(self) -> dict[str, NDArray[Any]]:
        texts = self._index.texts()
        return {"numbers": texts.numbers, "starts": texts.starts}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._index.add_texts(TokenTexts(state["numbers"].astype(np.int32), state["starts"].astype(np.int64)))
