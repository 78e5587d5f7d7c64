"""Plain, slow deciders that curation has to agree with, and filters asked about one row after another."""

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH
from rapidfuzz.distance import LCSseq
from rouge_score.rouge_scorer import RougeScorer
from rouge_score.tokenizers import DefaultTokenizer

from llamaduo.curation.index.lcs import lcs_length, positions, rouge_l
from llamaduo.curation.index.lsh_index import bands
from llamaduo.curation.index.rouge_tokens import RougeTokens
from llamaduo.curation.novelty import NoveltyFilter
from llamaduo.curation.pairs import Pair

REAL_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_real_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the real data for tests is not beside the project")


@cache
def real_instructions():
    import pyarrow.parquet as pq

    return pq.read_table(REAL_DATA / "instructions.parquet", columns=["instruction"]).column(0).to_pylist()


class TokensOnce:
    """rouge-score's own tokenizer, asked once for each text: most of a plain loop's time goes into splitting again."""

    def __init__(self, stemmer):
        self.tokenize = cache(DefaultTokenizer(stemmer).tokenize)


@cache
def scorer(stemmer):
    return RougeScorer(["rougeL"], tokenizer=TokensOnce(stemmer))


def by_rouge_score(texts, threshold, stemmer=False):
    """Each text's decision by a plain loop: None, or the earliest kept text above the threshold and the score."""
    kept: list[int] = []
    decisions: list[tuple[str, float] | None] = []
    for text in texts:
        scores = ((at, scorer(stemmer).score(texts[at], text)["rougeL"].fmeasure) for at in kept)
        decisions.append(next(((str(at), score) for at, score in scores if score > threshold), None))
        if decisions[-1] is None:
            kept.append(len(decisions) - 1)
    return decisions


def by_lcs_library(texts, threshold, stemmer=False):
    """The same by a loop over rapidfuzz's exact LCS of rouge-score's tokens, a character standing for each."""
    characters: dict[str, str] = {}
    kept: list[tuple[int, str]] = []
    decisions: list[tuple[str, float] | None] = []
    for place, text in enumerate(texts):
        tokens = scorer(stemmer)._tokenizer.tokenize(text)
        own = "".join(characters.setdefault(token, chr(0x10000 + len(characters))) for token in tokens)
        decisions.append(None)
        for at, other in kept:
            total = len(own) + len(other)
            common = LCSseq.similarity(own, other, score_cutoff=int((threshold - 1e-9) / 2 * total))
            if common:
                precision, recall = common / len(own), common / len(other)
                score = 2 * precision * recall / (precision + recall)
                if score > threshold:
                    decisions[-1] = (str(at), score)
                    break
        if decisions[-1] is None:
            kept.append((place, own))
    return decisions


def by_filter(texts, threshold, stemmer=False, other_scripts=50, batch_rows=64, threads=1):
    """The same by the novelty filter."""
    identifiers: list[str] = []
    decisions = []
    step = NoveltyFilter(threshold, RougeTokens(stemmer, other_scripts), identifiers, threads)
    pairs = [Pair(str(place), text, "") for place, text in enumerate(texts)]
    for start in range(0, len(pairs), batch_rows):
        batch = pairs[start : start + batch_rows]
        step.look_at(batch, range(len(batch)))
        for row, pair in enumerate(batch):
            rejection = step.check(row)
            decisions.append(rejection and (rejection.matched_id, rejection.score))
            if rejection is None:
                step.add(row)
                identifiers.append(pair.identifier)
    return decisions


class RougeByLcs:
    """An index of texts, as numbers of their tokens, that compares a text with all."""

    def __init__(self, threshold):
        self.threshold, self.texts, self.batch = threshold, [], []

    def look_at(self, batch):
        self.batch = batch

    def match(self, row):
        own = self.batch[row].tolist()
        where = positions(own)
        for place, other in enumerate(self.texts):
            score = rouge_l(lcs_length(where, len(own), other), len(own), len(other))
            if score > self.threshold:
                return place, score
        return None

    def add(self, row):
        self.texts.append(self.batch[row].tolist())


class LshByDatasketch:
    """An index of sets of shingles by datasketch itself."""

    def __init__(self, settings):
        self.threshold, self.sets, self.batch = settings.threshold, [], []
        self.empty = MinHash(num_perm=settings.permutations, hashfunc=int)
        parameters = bands(settings.threshold, settings.permutations)
        self.lsh = MinHashLSH(num_perm=settings.permutations, params=parameters)

    def look_at(self, shingles, starts):
        self.batch = [np.unique(shingles[start:end]) for start, end in pairwise(starts.tolist())]

    def match(self, row):
        own = self.batch[row]
        for candidate in sorted(self.lsh.query(self.sketch(own))) if own.size else ():
            score = jaccard(own.tolist(), self.sets[candidate].tolist())
            if score >= self.threshold:
                return candidate, score
        return None

    def add(self, row):
        if self.batch[row].size:
            self.lsh.insert(len(self.sets), self.sketch(self.batch[row]))
        self.sets.append(self.batch[row])

    def sketch(self, shingles):
        found = self.empty.copy()
        found.update_batch([shingle & 0xFFFFFFFF for shingle in shingles.tolist()])
        return found


def jaccard(first, second):
    return len(set(first) & set(second)) / len(set(first) | set(second))


class OneByOne:
    """A filter that looks at one pair at a time."""

    def __init__(self, step, identifiers):
        self.step, self.identifiers = step, identifiers

    def check(self, pair):
        self.step.look_at([pair], [0])
        return self.step.check(0)

    def add(self, pair):
        self.step.look_at([pair], [0])
        self.step.add(0)
        self.identifiers.append(pair.identifier)
