"""Texts are compared normalised and by words in any script."""

import pytest

from llamaduo.curation.text import normalise, words


def test_normalised_texts_differ_only_in_what_a_reader_would_notice():
    assert normalise("  Ｈｅｌｌｏ\u00a0 WORLD\n") == "hello world"
    assert normalise("Straße") == normalise("STRASSE")
    assert normalise("cafe\u0301") == normalise("café")
    assert normalise("now") != normalise("know")


def test_normalising_twice_changes_nothing_more():
    for text in ("ſt İstanbul ΐ", "ﬁne ½ Ⅷ", "हिन्दी", "\u0345\u0301"):
        assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("snake_case isn't 2 words", ["snake_case", "isn", "t", "2", "words"]),
        ("Привет, мир!", ["привет", "мир"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("日本語 GPT4です", ["日", "本", "語", "gpt4", "で", "す"]),
        ("😀 !?", []),
        ("", []),
    ],
)
def test_words_in_any_script(text, expected):
    assert words(normalise(text)) == expected
