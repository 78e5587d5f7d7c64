"""Exact and near duplicates of whole pairs: the earliest of them is named."""

import random
from itertools import pairwise

import numpy as np
import pytest
from curation_oracles import LshByDatasketch, OneByOne
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaduo.config.curation import MinHashSettings
from llamaduo.curation.exact import ExactFilter
from llamaduo.curation.index import minhash_kernels
from llamaduo.curation.index.lsh_index import LshIndex
from llamaduo.curation.index.minhash import MinHashFilter
from llamaduo.curation.index.word_hashes import WordHashes, ngram_hashes
from llamaduo.curation.pairs import Pair, Rejection


def exact():
    identifiers: list[str] = []
    return OneByOne(ExactFilter(identifiers), identifiers)


def minhash(**options):
    identifiers: list[str] = []
    return OneByOne(MinHashFilter(MinHashSettings(**options), identifiers, WordHashes(), 1), identifiers)


def test_exact_duplicates_are_equal_in_both_texts_once_normalised():
    step = exact()
    step.add(Pair("a", "Say Hello", "Hello!"))
    step.add(Pair("b", "say hello", "hello!"))
    assert step.check(Pair("c", "  say   HELLO ", "ｈello!")) == Rejection("exact_duplicate", "a", 1.0)
    assert step.check(Pair("c", "Say Hello", "Hi!")) is None


def test_texts_do_not_run_into_each_other():
    step = exact()
    step.add(Pair("a", "one two", "three"))
    assert step.check(Pair("b", "one", "two three")) is None
    assert step.check(Pair("b", "one twothree", "")) is None


def numbered(words):
    return " ".join(f"w{word}" for word in words)


words = st.lists(st.sampled_from(["a", "b", "c", "ä", "東"]), max_size=9)


@settings(deadline=None)
@given(st.lists(words, max_size=6), st.integers(1, 5), st.booleans())
def test_runs_of_words_have_equal_hashes_just_when_they_are_equal(rows, length, whole_if_short):
    hashes, starts = ngram_hashes(*WordHashes().rows(rows), length, whole_if_short)
    found = [hashes[start:end].tolist() for start, end in pairwise(starts.tolist())]
    runs = [[tuple(row[at : at + length]) for at in range(len(row) - length + 1)] for row in rows]
    if whole_if_short:
        runs = [run or ([tuple(row)] if row else []) for run, row in zip(runs, rows, strict=True)]
    assert [len(each) for each in found] == [len(each) for each in runs]
    pairs = {
        (run, number)
        for row, numbers in zip(runs, found, strict=True)
        for run, number in zip(row, numbers, strict=True)
    }
    assert len({run for run, _ in pairs}) == len({number for _, number in pairs}) == len(pairs)


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30), st.sampled_from([16, 128]))
def test_sketches_are_those_of_datasketch(values, permutations):
    expected = MinHash(num_perm=permutations, hashfunc=int)
    expected.update_batch([value & 0xFFFFFFFF for value in values])
    found = np.empty(permutations, np.uint32)
    minhash_kernels.sketch(np.array(values, np.uint64), *map(np.array, expected.permutations), found)
    assert found.tolist() == expected.hashvalues.tolist()


def near_rows(rows):
    generator = random.Random(1)
    found = [[generator.randrange(200) for _ in range(40)]]
    while len(found) < rows:
        original = generator.choice(found)
        changed = [word if generator.random() > 0.04 else generator.randrange(10**6) for word in original]
        found.append(
            changed if generator.random() < 0.7 else [generator.randrange(200) for _ in range(generator.randrange(40))]
        )
    return [[f"w{word}" for word in row] for row in found]


@settings(max_examples=8, deadline=None)
@given(st.sampled_from([0.3, 0.5, 0.8, 0.95]), st.integers(1, 600), st.integers(1, 3), st.sampled_from([16, 64, 128]))
def test_near_duplicates_are_those_that_datasketch_finds(threshold, batch_rows, threads, permutations):
    rows, chosen = near_rows(600), MinHashSettings(threshold=threshold, permutations=permutations)
    found = []
    for index in (LshByDatasketch(chosen), LshIndex(chosen, threads)):
        matches = []
        for start in range(0, len(rows), batch_rows):
            batch = rows[start : start + batch_rows]
            index.look_at(*ngram_hashes(*WordHashes().rows(batch), 3, True))
            for row in range(len(batch)):
                matches.append(index.match(row))
                if matches[-1] is None:
                    index.add(row)
        found.append(matches)
    assert found[0] == found[1]
    assert sum(match is not None for match in found[0]) > 20


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
def test_no_candidate_under_the_threshold_is_a_near_duplicate_and_few_above_it_are_missed(threshold):
    generator = random.Random(1)
    step = minhash(threshold=threshold)
    found = true = 0
    for number in range(150):
        words = [generator.randrange(10**9) for _ in range(60)]
        changed = [word if generator.random() > 0.06 else generator.randrange(10**9) for word in words]
        step.add(Pair(str(number), numbered(words[:40]), numbered(words[40:])))
        near = Pair("b", numbered(changed[:40]), numbered(changed[40:]))
        sets = [{tuple(row[at : at + 3]) for at in range(58)} for row in (words, changed)]
        similarity = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        rejection = step.check(near)
        true += similarity >= threshold
        if rejection:
            assert rejection == Rejection("near_duplicate", str(number), similarity)
            assert similarity >= threshold
            found += 1
    assert found >= 0.9 * true


def test_texts_in_other_scripts_are_compared_and_blank_ones_are_not():
    step = minhash()
    step.add(Pair("a", "フランスの首都はどこですか。", "パリです。"))
    step.add(Pair("b", "", ""))
    assert step.check(Pair("c", "フランスの首都はどこですか", "パリです！")).matched_id == "a"
    assert step.check(Pair("c", "日本の首都を教えてください。", "東京です。")) is None
    assert step.check(Pair("c", "😀", "")) is None


def test_the_earliest_near_duplicate_is_named():
    step = minhash(threshold=0.5)
    words = list(range(50))
    step.add(Pair("first", numbered(words), "x"))
    step.add(Pair("closer", numbered([*words, 99]), "x"))
    assert step.check(Pair("c", numbered([*words, 99]), "x")).matched_id == "first"
