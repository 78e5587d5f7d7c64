"""Novelty decides exactly as a plain loop over rouge-score does, and says what it compares in other scripts."""

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from llamaduo.curation.lcs import lcs_length, positions, rouge_l
from llamaduo.curation.novelty import LARGEST_COUNT, NoveltyFilter, RougeIndex, RougeTokens
from llamaduo.curation.pairs import Pair, Rejection

THRESHOLDS = (0.5, 0.7, 0.9)


def table_lcs(first, second):
    row = [0] * (len(second) + 1)
    for token in first:
        before, row = row, [0]
        for at, other in enumerate(second):
            row.append(before[at] + 1 if token == other else max(before[at + 1], row[at]))
    return row[-1]


@cache
def scorer(stemmer):
    return RougeScorer(["rougeL"], use_stemmer=stemmer)


def by_rouge_score(texts, threshold, stemmer=False):
    """Each text's decision by a plain loop: None, or the earliest kept text above the threshold and the score."""
    kept, decisions = [], []
    for text in texts:
        scores = ((at, scorer(stemmer).score(texts[at], text)["rougeL"].fmeasure) for at in kept)
        decisions.append(next(((str(at), score) for at, score in scores if score > threshold), None))
        if decisions[-1] is None:
            kept.append(len(decisions) - 1)
    return decisions


def by_filter(texts, threshold, stemmer=False, other_scripts=50):
    step = NoveltyFilter(threshold, RougeTokens(stemmer, other_scripts))
    decisions = []
    for at, text in enumerate(texts):
        pair = Pair(str(at), text, "")
        rejection = step.check(pair)
        decisions.append(rejection and (rejection.matched_id, rejection.score))
        if rejection is None:
            step.add(pair)
    return decisions


tokens = st.lists(st.sampled_from("abcde"), max_size=80)


@given(tokens, tokens)
def test_lcs_length_is_that_of_the_table(first, second):
    assert lcs_length(positions(first), len(first), second) == table_lcs(first, second)


@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_score_is_symmetric_in_floating_point(first, second, data):
    common = data.draw(st.integers(0, min(first, second)))
    assert rouge_l(common, first, second) == rouge_l(common, second, first)


few_words = st.lists(st.sampled_from(["the", "cat", "cats", "sat", "running", "Dog", "7", "Zoo!"]), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(few_words.map(" ".join), max_size=25), st.sampled_from([0, 0.25, *THRESHOLDS, 2 / 3, 1]), st.booleans())
def test_decisions_are_those_of_rouge_score_on_near_texts(texts, threshold, stemmer):
    assert by_filter(texts, threshold, stemmer) == by_rouge_score(texts, threshold, stemmer)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=15), st.sampled_from(THRESHOLDS))
def test_decisions_are_those_of_rouge_score_on_any_text_that_has_its_tokens(texts, threshold):
    texts = [text for text in texts if scorer(False)._tokenizer.tokenize(text)]
    assert by_filter(texts, threshold, other_scripts=0) == by_rouge_score(texts, threshold)


@pytest.mark.parametrize("stemmer", [False, True])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_decisions_are_those_of_rouge_score_on_edited_sentences(threshold, stemmer):
    generator = random.Random(f"{threshold} {stemmer}")
    vocabulary = [f"{stem}{ending}" for stem in ("jump", "walk", "talk", "climb") for ending in ("", "s", "ed", "ing")]
    vocabulary += [f"word{number}" for number in range(60)]
    texts = [" ".join(generator.choices(vocabulary, k=generator.randrange(3, 25))) for _ in range(30)]
    for _ in range(60):
        words = generator.choice(texts).split()
        for _ in range(generator.randrange(4)):
            words[generator.randrange(len(words))] = generator.choice(vocabulary)
        start = generator.randrange(3)
        texts.append(" ".join(words[start:] + words[:start]) if len(words) > 3 else " ".join(words))
    decisions = by_filter(texts, threshold, stemmer)
    assert decisions == by_rouge_score(texts, threshold, stemmer)
    assert 5 < sum(decision is not None for decision in decisions) < 80


def test_the_threshold_itself_is_still_novel():
    # 7 of 10 tokens in common: F is 0.7.
    texts = ["a b c d e f g h i j", "a b c d e f g x y z"]
    assert by_filter(texts, 0.7) == by_rouge_score(texts, 0.7)
    assert by_filter(texts, 0.6999)[1] == ("0", by_rouge_score(texts, 0.6999)[1][1])


@pytest.mark.parametrize(
    "texts",
    [
        ["", "", " ", "a", "a", "A.", "a b"],
        ["no " * 400, "no " * 400, "no " * 200, "no " * 401 + "yes"],
        ["same words here"] * 5,
        ["x", "x y", "y x", "x y x y", "y"],
        ["hello 😀", "hello 😀😀", "😀 hello there", "naïve café", "na ve caf"],
    ],
    ids=["short", "one token repeated", "identical", "orders", "emoji and accents"],
)
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_adversarial_texts(texts, threshold):
    assert by_filter(texts, threshold) == by_rouge_score(texts, threshold)


def test_twenty_thousand_tokens():
    generator = random.Random(0)
    words = [f"w{generator.randrange(5000)}" for _ in range(20_000)]
    changed = [word if generator.random() > 0.1 else "other" for word in words]
    unlike = [word if generator.random() > 0.4 else "other" for word in words]
    assert [bool(found) for found in by_filter([" ".join(x) for x in (words, changed, unlike)], 0.7)] == [
        False,
        True,
        False,
    ]


def test_counts_beyond_what_a_bucket_holds_rule_nothing_out():
    many = LARGEST_COUNT * 3
    index = RougeIndex(0.9)
    index.add("few", ["a"] * LARGEST_COUNT)
    index.add("many", ["a"] * many + ["b"])
    assert index.first_match(["a"] * many) == ("many", pytest.approx(2 * many / (2 * many + 1)))
    assert index.first_match(["b"] * many) is None


def test_texts_beyond_the_first_block_are_found():
    index = RougeIndex(0.7)
    for number in range(9000):
        index.add(str(number), [f"{number}a", f"{number}b", f"{number}c"])
    assert [index.first_match([f"{number}a", f"{number}b"]) for number in (0, 4095, 4096, 8999)] == [
        (str(number), 0.8) for number in (0, 4095, 4096, 8999)
    ]


def test_where_rouge_has_no_tokens_words_of_any_script_are_compared():
    texts = [
        "Напиши рассказ о старом доме у моря",
        "Напиши рассказ о старом доме у реки",
        "Объясни теорему Пифагора простыми словами",
        "春についての詩を書いてください",
        "春についての詩を書いて下さい",
        "東京の歴史を説明してください",
        "😀😀😀😁",
        "😀😀😀😂",
    ]
    assert [found and found[0] for found in by_filter(texts, 0.7)] == [None, "0", None, None, "3", None, None, "6"]
    assert by_rouge_score(texts, 0.7) == [None] * len(texts)


def test_texts_mostly_in_other_scripts_are_not_dropped_for_a_number_they_share():
    texts = ["请写一首关于春天的诗，不少于100字", "请介绍北京的历史，100字以内", "请介绍北京的历史，100字以上"]
    assert [found and found[0] for found in by_filter(texts, 0.7)] == [None, None, "1"]
    assert [found and found[0] for found in by_filter(texts, 0.7, other_scripts=0)] == [None, "0", "0"]


def test_a_rejection_names_the_earliest_match_and_its_score():
    step = NoveltyFilter(0.5, RougeTokens(False, 50))
    for name in ("first", "second"):
        step.add(Pair(name, f"tell me about the {name} king", ""))
    assert step.check(Pair("x", "tell me about the second king", "")) == Rejection("not_novel", "first", 5 / 6)
