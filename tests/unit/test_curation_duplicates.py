"""Exact and near duplicates of whole pairs: the earliest of them is named."""

import random

import numpy as np
import pytest

from llamaduo.config.curation import MinHashSettings
from llamaduo.curation.exact import ExactFilter
from llamaduo.curation.minhash import MinHashFilter, hashed_shingles, jaccard
from llamaduo.curation.pairs import Pair, Rejection


def test_exact_duplicates_are_equal_in_both_texts_once_normalised():
    step = ExactFilter()
    step.add(Pair("a", "Say Hello", "Hello!"))
    step.add(Pair("b", "say hello", "hello!"))
    assert step.check(Pair("c", "  say   HELLO ", "ｈello!")) == Rejection("exact_duplicate", "a", 1.0)
    assert step.check(Pair("c", "Say Hello", "Hi!")) is None


def test_texts_do_not_run_into_each_other():
    step = ExactFilter()
    step.add(Pair("a", "one two", "three"))
    assert step.check(Pair("b", "one", "two three")) is None
    assert step.check(Pair("b", "one twothree", "")) is None


def numbered(words):
    return " ".join(f"w{word}" for word in words)


def test_jaccard_is_that_of_the_sets_of_shingles():
    first, second = list("abcde"), list("abcdx")
    sets = [{tuple(words[at : at + 3]) for at in range(3)} for words in (first, second)]
    expected = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    assert jaccard(hashed_shingles(first, 3), hashed_shingles(second, 3)) == expected == 0.5
    assert jaccard(hashed_shingles(["a"], 3), hashed_shingles(["a"], 3)) == 1
    assert hashed_shingles([], 3).size == 0


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
def test_no_candidate_under_the_threshold_is_a_near_duplicate_and_few_above_it_are_missed(threshold):
    generator = random.Random(1)
    step = MinHashFilter(MinHashSettings(threshold=threshold))
    found = true = 0
    for number in range(150):
        words = [generator.randrange(10**9) for _ in range(60)]
        changed = [word if generator.random() > 0.06 else generator.randrange(10**9) for word in words]
        step.add(Pair(str(number), numbered(words[:40]), numbered(words[40:])))
        near = Pair("b", numbered(changed[:40]), numbered(changed[40:]))
        shingles = [{tuple(row[at : at + 3]) for at in range(58)} for row in (words, changed)]
        similarity = len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])
        rejection = step.check(near)
        true += similarity >= threshold
        if rejection:
            assert rejection == Rejection("near_duplicate", str(number), similarity)
            assert similarity >= threshold
            found += 1
    assert found >= 0.9 * true


def test_texts_in_other_scripts_are_compared_and_blank_ones_are_not():
    step = MinHashFilter(MinHashSettings())
    step.add(Pair("a", "フランスの首都はどこですか。", "パリです。"))
    step.add(Pair("b", "", ""))
    assert step.check(Pair("c", "フランスの首都はどこですか", "パリです！")).matched_id == "a"
    assert step.check(Pair("c", "日本の首都を教えてください。", "東京です。")) is None
    assert step.check(Pair("c", "😀", "")) is None


def test_the_earliest_near_duplicate_is_named():
    step = MinHashFilter(MinHashSettings(threshold=0.5))
    words = list(range(50))
    step.add(Pair("first", numbered(words), "x"))
    step.add(Pair("closer", numbered([*words, 99]), "x"))
    assert step.check(Pair("c", numbered([*words, 99]), "x")).matched_id == "first"


def test_shingles_are_sorted_and_distinct():
    shingles = hashed_shingles(["a", "b"] * 10, 2)
    assert len(shingles) == 2
    assert np.all(np.diff(shingles.astype(object)) > 0)
