"""Rows that repeat the test split are found by substring, n-grams and ROUGE-L, in the instruction and the response."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaduo.config.curation import DecontaminationSettings
from llamaduo.curation.decontamination import DecontaminationFilter
from llamaduo.curation.index.rouge_tokens import RougeTokens
from llamaduo.curation.index.word_hashes import WordHashes
from llamaduo.curation.pairs import Pair

TEST = [
    Pair(
        "t1",
        "Classify the mood of this note: the trains were late again and nobody said a word about it",
        "negative",
    ),
    Pair(
        "t2",
        "Why is the sky blue?",
        "Air scatters short waves of light more than long ones, so blue light reaches us from all sides.",
    ),
    Pair("t3", "Привет! Почему небо голубое и почему закат красный, объясни просто", "Рассеяние."),
]


def rejection_of(pair, test, **settings):
    tokens = RougeTokens(False, 50)
    step = DecontaminationFilter(test, DecontaminationSettings(**settings), tokens, WordHashes(), 1)
    sure = step.look_at([pair], [0])
    assert bool(sure) == (step.check(0) is not None)
    return step.check(0)


def found(instruction, response="An answer to something else.", **settings):
    pair = Pair("new", instruction, response)
    rejection = rejection_of(pair, TEST, **settings)
    return rejection and (rejection.reason, rejection.matched_id)


@pytest.mark.parametrize(
    ("expected", "instruction", "response"),
    [
        (("contaminated_substring", "t2"), "why is the sky  BLUE?", "Because."),
        (("contaminated_substring", "t1"), f"Please help. {TEST[0].instruction.upper()}. Thanks!", "positive"),
        (("contaminated_substring", "t1"), "The trains were late again and nobody said a word", "positive"),
        (("contaminated_substring", "t2"), "Tell me of light.", f"Well: {TEST[1].response} That is all."),
        (("contaminated_substring", "t2"), TEST[1].response, "positive"),
        (("contaminated_substring", "t3"), f"Скажи: {TEST[2].instruction}", "Да."),
        (
            ("contaminated_ngrams", "t1"),
            "My note says: the trains were late again and nobody said a word there, sadly, it is true",
            "sad",
        ),
        (
            ("contaminated_ngrams", "t2"),
            "Tell me of light.",
            "Air scatters short waves of light more than long ones; the red rest goes on.",
        ),
        (("contaminated_rouge", "t2"), "Why is the sky so blue?", "Because."),
        (
            ("contaminated_rouge", "t2"),
            "Tell me of light.",
            "Air scatters the short waves of blue light more than the long ones, "
            "so that blue light then reaches us all from the sides.",
        ),
    ],
)
def test_copies_of_the_test_split_are_found(expected, instruction, response):
    assert found(instruction, response) == expected


@pytest.mark.parametrize(
    ("instruction", "response"),
    [
        ("Is the weather good for sailing today?", "negative"),
        ("Why is grass green?", "Its leaves absorb red and blue."),
        ("Explain why the sky is blue to a physicist who studies light in other media.", "Rayleigh scattering."),
        ("Classify the mood of this note: we had a lovely day at the lake with my cousins", "positive"),
        ("", ""),
    ],
)
def test_rows_that_share_a_label_or_a_phrase_only_pass(instruction, response):
    assert found(instruction, response) is None


def test_share_of_words_covered_is_what_counts():
    shared = "the trains were late again and nobody said"
    half = f"{shared} one two three four five six seven eight"
    assert found(half) == ("contaminated_ngrams", "t1")
    assert found(f"{half} nine") is None
    assert found(f"{half} nine", overlap=40) == ("contaminated_ngrams", "t1")


def test_without_a_test_split_nothing_is_found():
    assert rejection_of(Pair("new", "Why is the sky blue?", "Because."), []) is None


sentences = st.lists(st.sampled_from(["a", "b", "ab", "ba"]), max_size=14).map(" ".join)


@settings(deadline=None)
@given(st.lists(st.tuples(sentences, sentences), min_size=1, max_size=4), sentences, sentences)
def test_substrings_are_those_of_a_plain_search(test, instruction, response):
    pairs = [Pair(str(number), *texts) for number, texts in enumerate(test)]

    def contains(inner, outer):
        return len(inner.split()) >= 3 and inner in outer

    expected = next(
        (
            pair.identifier
            for pair in pairs
            if pair.instruction == instruction
            or any(
                contains(mine, theirs) or contains(theirs, mine)
                for mine in (instruction, response)
                for theirs in (pair.instruction, pair.response)
            )
        ),
        None,
    )
    rejection = rejection_of(Pair("new", instruction, response), pairs, ngram=3)
    substring = rejection is not None and rejection.reason == "contaminated_substring"
    assert (rejection.matched_id if substring else None) == expected
