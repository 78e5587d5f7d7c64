"""JSON in texts that others wrote."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamaduo.storage.json_text import parse, whole_items


@pytest.mark.parametrize(
    "text", ["{}", " {}\n", "```json\n{}\n```", "```JSON \n{}```\n", "```\n{}\n```", "\n``` json\n\n{}\n\n```"]
)
def test_a_value_is_read_with_or_without_a_markdown_block(text: str) -> None:
    assert parse(text.replace("{}", '{"a": "```"}')) == {"a": "```"}


@pytest.mark.parametrize("text", ["", "```", "```\n```", "```python\n{}\n```", "{} and", "[" * 100_000, "9" * 5000])
def test_everything_else_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


@given(st.text(alphabet='`\n json{}[]9"\\'))
def test_no_text_raises_another_error(text: str) -> None:
    with suppress(ValueError):
        parse(text)
    list(whole_items(text, 0))


def test_the_items_before_a_cut_are_read() -> None:
    text = json.dumps([1, {"a": 2}, "three", [4]])

    assert list(whole_items(text, 1)) == [1, {"a": 2}, "three", [4]]
    assert list(whole_items(text[:-3], 1)) == [1, {"a": 2}, "three"]
    assert list(whole_items("1, [[2", 0)) == [1]
    assert list(whole_items("1, " + "9" * 5000, 0)) == [1]
