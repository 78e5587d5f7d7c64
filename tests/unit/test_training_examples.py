"""Training examples: what is learned, what does not fit, the validation share, and the check of the loss mask."""

from pathlib import Path
from typing import Any

import pytest
from tiny_models import build_tiny_tokenizer

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.models.chat import decode, end_of_turn_id, load_tokenizer, prompt_ids
from llamaduo.training.examples import IGNORED, check_rows, encode, is_held_out, split
from llamaduo.training.mask import check_mask, show_mask


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gemma")
    build_tiny_tokenizer("gemma", folder)
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def tokenizer(gemma: Path) -> Any:
    return load_tokenizer(ModelSettings(path=str(gemma)))


def row(prompt: str, response: str = "yes") -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]}


def check(tokenizer: Any, rows: list[dict[str, Any]]) -> None:
    for example in encode(tokenizer, rows, TrainingSettings(), "data").examples:
        check_mask(tokenizer, rows[example.row]["messages"], example.input_ids.tolist(), example.labels.tolist())


def test_the_loss_covers_the_last_response_and_its_end(tokenizer: Any) -> None:
    rows = [row("Hello?", "no, never")]
    (example,) = encode(tokenizer, rows, TrainingSettings(), "data").examples
    learned = example.input_ids[example.labels != IGNORED].tolist()
    assert decode(tokenizer, learned) == "no, never<end_of_turn>"
    assert learned[-1] == end_of_turn_id(tokenizer)
    assert show_mask(tokenizer, example.input_ids.tolist(), example.labels.tolist()) == (
        "<bos><start_of_turn>user\nHello?<end_of_turn>\n<start_of_turn>model\n⟦no, never<end_of_turn>⟧"
    )
    check(tokenizer, rows)


def test_a_long_prompt_loses_its_middle_and_never_the_response(tokenizer: Any) -> None:
    rows = [row("Hello? " + "word " * 200 + "Answer: yes, no.", "no"), row("Hello?", "word " * 200), row("Hello?")]
    encoded = encode(tokenizer, rows, TrainingSettings(max_length=64), "data")
    assert [example.row for example in encoded.examples] == [0, 2]
    assert (encoded.dropped, encoded.shortened) == ([1], 1)
    first = encoded.examples[0]
    assert len(first.input_ids) == 64
    whole = prompt_ids(tokenizer, rows[0]["messages"])
    assert first.input_ids[:10].tolist() == whole[:10]
    text = decode(tokenizer, first.input_ids.tolist())
    assert text.endswith("Answer: yes, no.<end_of_turn>\n<start_of_turn>model\nno<end_of_turn>")
    check_mask(tokenizer, rows[0]["messages"], first.input_ids.tolist(), first.labels.tolist())


def test_long_rows_can_be_left_out_or_refused(tokenizer: Any) -> None:
    rows = [row("word " * 200), row("Hello?")]
    assert encode(tokenizer, rows, TrainingSettings(max_length=64, overlong="drop"), "data").dropped == [0]
    with pytest.raises(InputError, match=r"data: row 0: \d+ tokens, more than training.max_length = 64"):
        encode(tokenizer, rows, TrainingSettings(max_length=64, overlong="error"), "data")
    with pytest.raises(InputError, match=r"data: no row fits into training.max_length = 16"):
        encode(tokenizer, rows[:1], TrainingSettings(max_length=16, overlong="drop"), "data")


def test_the_validation_share_is_split_by_prompt_and_stays_as_data_grows(tokenizer: Any) -> None:
    rows = [row(f"Question {number}?", f"answer {number}") for number in range(200)]
    again = [row(f"question  {number}?", "another answer") for number in range(200)]
    examples = encode(tokenizer, rows + again, TrainingSettings(), "data").examples
    learned, held_out = split(examples, rows + again, 0.2)
    assert 0.1 < len(held_out) / 400 < 0.3
    assert {example.row % 200 for example in learned}.isdisjoint(example.row % 200 for example in held_out)
    _, smaller = split(examples[:100], rows, 0.2)
    assert [example.row for example in smaller] == [example.row for example in held_out if example.row < 100]
    assert not any(is_held_out(entry["messages"], 0) for entry in rows)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([{"role": "user", "content": "Hello?"}], "must end with a user turn and an assistant turn"),
        (row("Hello?", " \n")["messages"], "the assistant turn is empty"),
        ([{"role": "tool", "content": "x"}, *row("Hello?")["messages"]], "unknown role 'tool'"),
    ],
)
def test_a_row_that_cannot_be_learned_is_named(messages: list[dict[str, str]], message: str) -> None:
    with pytest.raises(InputError, match=f"data: row 1: .*{message}"):
        check_rows([row("Hello?"), {"messages": messages}], "data")
    with pytest.raises(InputError, match="data: no rows"):
        check_rows([], "data")


START, END = "{{ '<start_of_turn>model\\n' }}", "{{ '<end_of_turn>' }}"
TURN = "{{ '<start_of_turn>' + m['role'] + '\\n' + m['content'] }}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "{{ bos_token }}{{ bos_token }}{% for m in messages %}" + TURN + END + "{% endfor %}"
            "{% if add_generation_prompt %}{{ '<start_of_turn>assistant\\n' }}{% endif %}",
            "'<bos>' must occur once, at the start of an example, and occurs 2 times",
        ),
        (
            "{% for m in messages %}" + TURN + END + "{% endfor %}"
            "{% if add_generation_prompt %}{{ '<start_of_turn>assistant\\n' }}{% endif %}",
            "occurs 0 times",
        ),
        (
            "{{ bos_token }}{% for m in messages %}" + TURN + END + "{% endfor %}",
            "must cover exactly the last response 'yes', and covers '<start_of_turn>assistant",
        ),
        (
            "{{ bos_token }}{% for m in messages %}" + TURN + END + "{% endfor %}"
            "{% if add_generation_prompt %}" + START + "{% endif %}",
            "not as the continuation of its prompt",
        ),
        (
            "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}"
            "{{ '<start_of_turn>model\\nWell, ' + m['content'] }}{% else %}"
            + TURN
            + "{% endif %}"
            + END
            + "{% endfor %}"
            "{% if add_generation_prompt %}" + START + "{% endif %}",
            "must cover exactly the last response 'yes', and covers 'Well, yes'",
        ),
        (
            "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}"
            "{{ '<start_of_turn>model\\n' + m['content'] }}" + END + "{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}" + START + "{% endif %}",
            "leaves out the user turn 'Hello\\?'",
        ),
    ],
    ids=["two BOS", "no BOS", "no generation prompt", "another generation prompt", "words put in", "no user turn"],
)
def test_a_wrong_template_is_caught(gemma: Path, tmp_path: Path, template: str, message: str) -> None:
    (tmp_path / "wrong.jinja").write_text(template)
    tokenizer = load_tokenizer(ModelSettings(path=str(gemma), chat_template=tmp_path / "wrong.jinja"))
    with pytest.raises(InputError, match=message):
        check(tokenizer, [row("Hello?")])


def test_labels_that_leave_out_the_end_of_the_turn_are_caught(tokenizer: Any) -> None:
    messages = row("Hello?")["messages"]
    (example,) = encode(tokenizer, [row("Hello?")], TrainingSettings(), "data").examples
    ids, labels = example.input_ids.tolist(), example.labels.tolist()
    with pytest.raises(InputError, match="must cover the end of the example"):
        check_mask(tokenizer, messages, ids, [*labels[:-1], IGNORED])
    with pytest.raises(InputError, match="must end on the end-of-turn token '<end_of_turn>'"):
        check_mask(tokenizer, messages, ids[:-1], labels[:-1])
