"""Novelty decides exactly as a plain loop over rouge-score does, and says what it compares in other scripts."""

import random
from itertools import chain

import numpy as np
import pytest
from curation_oracles import (
    OneByOne,
    RougeByLcs,
    by_filter,
    by_lcs_library,
    by_rouge_score,
    needs_real_data,
    real_instructions,
    scorer,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaduo.curation.index import rouge_tokens
from llamaduo.curation.index.lcs import lcs_length, positions, rouge_l
from llamaduo.curation.index.rouge_index import RougeIndex
from llamaduo.curation.index.rouge_kernels import ELEMENT_BITS, element_hash
from llamaduo.curation.index.rouge_tokens import RougeTokens
from llamaduo.curation.index.token_numbers import TokenTexts
from llamaduo.curation.novelty import NoveltyFilter
from llamaduo.curation.pairs import Pair, Rejection

THRESHOLDS = (0.5, 0.7, 0.9)


def table_lcs(first, second):
    row = [0] * (len(second) + 1)
    for token in first:
        before, row = row, [0]
        for at, other in enumerate(second):
            row.append(before[at] + 1 if token == other else max(before[at + 1], row[at]))
    return row[-1]


tokens = st.lists(st.sampled_from("abcde"), max_size=80)


@settings(deadline=None)
@given(tokens, tokens)
def test_lcs_length_is_that_of_the_table(first, second):
    assert lcs_length(positions(first), len(first), second) == table_lcs(first, second)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.data())
def test_score_is_symmetric_in_floating_point(first, second, data):
    common = data.draw(st.integers(0, min(first, second)))
    assert rouge_l(common, first, second) == rouge_l(common, second, first)


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=5), st.booleans())
def test_tokens_are_those_of_rouge_score(texts, stemmer):
    texts = [text for text in [*texts, "İstanbul K\u212a ſ Running1 a_b"] if scorer(stemmer)._tokenizer.tokenize(text)]
    found = RougeTokens(stemmer, 0)
    numbered = found(texts)
    rows = [[found.vocabulary[number] for number in numbered[row]] for row in range(len(texts))]
    assert rows == [scorer(stemmer)._tokenizer.tokenize(text) for text in texts]


@settings(deadline=None)
@given(st.lists(st.lists(st.text(max_size=30), max_size=6), max_size=3), st.booleans())
def test_numbers_are_given_in_the_order_in_which_tokens_are_first_met(batches, stemmer):
    tokens, stem = RougeTokens(stemmer, 50), rouge_tokens._stem() if stemmer else str
    met: dict[str, int] = {}
    for texts in [*batches, list(chain.from_iterable(batches))]:
        found = tokens(texts)
        rows = [tokens._split(text).decode("utf-8", "surrogatepass").split(" ") for text in texts]
        rows = [[stem(word) for word in row if word] for row in rows]
        assert found.numbers.tolist() == [met.setdefault(word, len(met)) for row in rows for word in row]
        assert np.diff(found.starts).tolist() == [len(row) for row in rows]
    assert tokens.vocabulary == list(met)


@pytest.mark.parametrize("stemmer", [False, True])
def test_numbers_go_on_from_a_vocabulary(stemmer):
    texts = [f"word{number} running{number} слово{number} \ud800" for number in range(5000)]
    first, second = (RougeTokens(stemmer, 50) for _ in range(2))
    first(texts[:4000])
    second(["words of no account"])
    second.restore(first.vocabulary)
    assert np.array_equal(second(texts).numbers, first(texts).numbers)
    assert second.vocabulary == first.vocabulary and len(first.vocabulary) > 10_000


few_words = st.lists(st.sampled_from(["the", "cat", "cats", "sat", "running", "Dog", "7", "Zoo!"]), max_size=12)


@settings(max_examples=70, deadline=None)
@given(
    st.lists(few_words.map(" ".join), max_size=25),
    st.sampled_from([0, 0.25, *THRESHOLDS, 2 / 3, 1]),
    st.booleans(),
    st.integers(1, 30),
)
def test_decisions_are_those_of_rouge_score_on_near_texts(texts, threshold, stemmer, batch_rows):
    found = by_filter(texts, threshold, stemmer, batch_rows=batch_rows)
    assert found == by_rouge_score(texts, threshold, stemmer)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=15), st.sampled_from(THRESHOLDS))
def test_decisions_are_those_of_rouge_score_on_any_text_that_has_its_tokens(texts, threshold):
    texts = [text for text in texts if scorer(False)._tokenizer.tokenize(text)]
    assert by_filter(texts, threshold, other_scripts=0) == by_rouge_score(texts, threshold)


long_words = st.lists(st.integers(0, 30).map("w{}".format), min_size=50, max_size=300)


@settings(max_examples=20, deadline=None)
@given(
    long_words, st.lists(st.tuples(st.integers(0, 299), st.integers(0, 40)), max_size=120), st.sampled_from(THRESHOLDS)
)
def test_decisions_are_those_of_rouge_score_on_texts_of_several_machine_words(words, edits, threshold):
    changed = list(words)
    for place, word in edits:
        changed[place % len(changed)] = f"w{word}"
    texts = [
        " ".join(each) for each in (words, changed, words[len(words) // 3 :] + words[: len(words) // 3], changed[5:])
    ]
    assert by_filter(texts, threshold) == by_rouge_score(texts, threshold)


def edited_sentences(seed, rows):
    generator = random.Random(seed)
    vocabulary = [f"{stem}{ending}" for stem in ("jump", "walk", "talk", "climb") for ending in ("", "s", "ed", "ing")]
    vocabulary += [f"word{number}" for number in range(60)]
    texts = [" ".join(generator.choices(vocabulary, k=generator.randrange(3, 25))) for _ in range(rows // 3)]
    while len(texts) < rows:
        words = generator.choice(texts).split()
        for _ in range(generator.randrange(4)):
            words[generator.randrange(len(words))] = generator.choice(vocabulary)
        start = generator.randrange(3)
        texts.append(" ".join(words[start:] + words[:start]) if len(words) > 3 else " ".join(words))
    return texts


@pytest.mark.parametrize("stemmer", [False, True])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_decisions_are_those_of_rouge_score_on_edited_sentences(threshold, stemmer):
    texts = edited_sentences(f"{threshold} {stemmer}", 90)
    decisions = by_filter(texts, threshold, stemmer)
    assert decisions == by_rouge_score(texts, threshold, stemmer)
    assert 5 < sum(decision is not None for decision in decisions) < 80


def test_neither_batches_nor_threads_change_a_decision():
    texts = edited_sentences("batches", 2000)
    expected = by_lcs_library(texts, 0.7)
    for batch_rows, threads in ((1, 1), (7, 2), (500, 3), (2000, 4)):
        assert by_filter(texts, 0.7, batch_rows=batch_rows, threads=threads) == expected


@needs_real_data
@pytest.mark.parametrize(
    ("rows", "threshold", "stemmer"),
    [(1000, 0.7, False), (300, 0.7, True), (300, 0.5, False), (300, 0.5, True), (300, 0.9, False), (300, 0.9, True)],
)
def test_decisions_on_real_rows_are_those_of_a_loop_over_rouge_score(rows, threshold, stemmer):
    # rouge-score takes 20 ms for two texts of 300 words: so these are rows of at most 13 words.
    texts = [text for text in real_instructions() if len(text.split()) <= 13][:rows]
    assert by_filter(texts, threshold, stemmer) == by_rouge_score(texts, threshold, stemmer)


@needs_real_data
@pytest.mark.parametrize(
    ("rows", "threshold", "stemmer"), [(5000, 0.7, False), (1000, 0.5, True), (1000, 0.7, True), (1000, 0.9, False)]
)
def test_decisions_on_real_rows_are_those_of_a_loop_over_an_exact_lcs(rows, threshold, stemmer):
    texts = real_instructions()[:rows]
    assert by_filter(texts, threshold, stemmer, batch_rows=1024) == by_lcs_library(texts, threshold, stemmer)


@needs_real_data
def test_of_40000_real_instructions_10861_are_kept():
    decisions = by_filter(real_instructions(), 0.7, batch_rows=1024, threads=2)
    assert len(decisions) == 40_000
    assert decisions.count(None) == 10_861


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
        ["hello مرحبا world", "hello world", "\u202ehello world\u202c שלום"],
        [" ".join(f"w{number}" for number in range(count)) for count in (63, 64, 65, 127, 128, 129, 192)],
    ],
    ids=["short", "one token repeated", "identical", "orders", "emoji and accents", "right to left", "word lengths"],
)
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_adversarial_texts(texts, threshold):
    texts = [text for text in texts if not text.strip() or scorer(False)._tokenizer.tokenize(text)]
    found = by_filter(texts, threshold, other_scripts=0)
    assert found == by_rouge_score(texts, threshold)


def test_twenty_thousand_tokens():
    generator = random.Random(0)
    words = [f"w{generator.randrange(5000)}" for _ in range(20_000)]
    changed = [word if generator.random() > 0.1 else "other" for word in words]
    unlike = [word if generator.random() > 0.4 else "other" for word in words]
    texts = [" ".join(each) for each in (words, changed, unlike)]
    common = lcs_length(positions(words), len(words), changed)
    assert by_filter(texts, 0.7) == [None, ("0", rouge_l(common, 20_000, 20_000)), None]


def test_one_token_repeated_twenty_thousand_times():
    # An LCS in the plain way takes quadratic time here; rouge-score would take minutes.
    texts = ["no " * 20_000, "no " * 11_000, "no " * 10_000]
    assert by_filter(texts, 0.7) == [None, ("0", rouge_l(11_000, 20_000, 11_000)), None]


def test_a_token_repeated_many_times_rules_nothing_out():
    few, many = 255, 765
    index = RougeIndex(0.9)
    index.look_at(TokenTexts.of([[0] * few, [0] * many + [1], [0] * many, [1] * many]))
    index.add(0)
    index.add(1)
    assert index.match(2) == (1, pytest.approx(2 * many / (2 * many + 1)))
    assert index.match(3) is None


def test_texts_beyond_the_first_block_are_found():
    index = RougeIndex(0.7, 2)
    rows = [[3 * number, 3 * number + 1, 3 * number + 2] for number in range(9000)]
    index.look_at(TokenTexts.of(rows))
    for row in range(len(rows)):
        index.add(row)
    index.look_at(TokenTexts.of([rows[number][:2] for number in (0, 4095, 4096, 8999)]))
    assert [index.match(row) for row in range(4)] == [(number, 0.8) for number in (0, 4095, 4096, 8999)]


@pytest.mark.parametrize("seed", [2, 9])
def test_elements_that_fall_together_hide_no_match(seed):
    """The seeds are of rows in which matches were lost when postings were looked at in another order."""
    generator = random.Random(seed)
    by_element: dict[int, list[int]] = {}
    for token in range(40_000):
        by_element.setdefault(int(element_hash(token, 0)) >> (64 - ELEMENT_BITS), []).append(token)
    groups = [tokens for tokens in by_element.values() if len(tokens) > 1]
    threshold = generator.choice(THRESHOLDS)
    together = list(chain.from_iterable(generator.sample(groups, generator.randrange(3, 12))))
    rows = []
    for _ in range(300):
        rows.append(generator.sample(together, generator.randrange(2, len(together) + 1)))
        edited = sorted(rows[generator.randrange(len(rows))])
        for _ in range(generator.randrange(1, 4)):
            edited[generator.randrange(len(edited))] = generator.choice(together)
        rows.append(edited)
    rows = [sorted(row) if generator.random() < 0.7 else row for row in rows]
    expected, found = (decisions_of(index, rows) for index in (RougeByLcs(threshold), RougeIndex(threshold)))
    assert found == expected
    assert 100 < sum(match is not None for match in expected) < len(rows)


def decisions_of(index, rows):
    decisions = []
    for start in range(0, len(rows), 50):
        index.look_at(TokenTexts.of(rows[start : start + 50]))
        for row in range(50):
            decisions.append(index.match(row))
            if decisions[-1] is None:
                index.add(row)
    return decisions


def test_an_index_goes_on_from_the_texts_of_another():
    texts = edited_sentences("state", 400)
    tokens = RougeTokens(False, 50)
    whole, first, second = (RougeIndex(0.7) for _ in range(3))
    whole.look_at(tokens(texts))
    for row in range(len(texts)):
        whole.add(row)
    first.look_at(tokens(texts[:150]))
    for row in range(150):
        first.add(row)
    second.add_texts(first.texts())
    second.look_at(tokens(texts[150:]))
    for row in range(250):
        second.add(row)
    for index in (whole, second):
        index.look_at(tokens(texts))
    assert [whole.match(row) for row in range(400)] == [second.match(row) for row in range(400)]
    assert np.array_equal(whole.texts().numbers, second.texts().numbers)


SCRIPTS = [
    "Напиши рассказ о старом доме у моря",
    "Напиши рассказ о старом доме у реки",
    "Объясни теорему Пифагора простыми словами",
    "春についての詩を書いてください",
    "春についての詩を書いて下さい",
    "東京の歴史を説明してください",
    "😀😀😀😁",
    "😀😀😀😂",
    "\0\0\0",
]


def test_where_rouge_has_no_tokens_words_of_any_script_are_compared():
    found = by_filter(SCRIPTS, 0.7)
    assert [each and each[0] for each in found] == [None, "0", None, None, "3", None, None, "6", None]
    assert by_rouge_score(SCRIPTS, 0.7) == [None] * len(SCRIPTS)


def test_texts_mostly_in_other_scripts_are_not_dropped_for_a_number_they_share():
    texts = ["请写一首关于春天的诗，不少于100字", "请介绍北京的历史，100字以内", "请介绍北京的历史，100字以上"]
    assert [found and found[0] for found in by_filter(texts, 0.7)] == [None, None, "1"]
    assert [found and found[0] for found in by_filter(texts, 0.7, other_scripts=0)] == [None, "0", "0"]


def test_a_rejection_names_the_earliest_match_and_its_score():
    identifiers: list[str] = []
    step = OneByOne(NoveltyFilter(0.5, RougeTokens(False, 50), identifiers, 1), identifiers)
    for name in ("first", "second"):
        step.add(Pair(name, f"tell me about the {name} king", ""))
    assert step.check(Pair("x", "tell me about the second king", "")) == Rejection("not_novel", "first", 5 / 6)
