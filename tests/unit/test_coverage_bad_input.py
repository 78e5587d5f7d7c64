"""Bad input ends in one message that names the file and the row, and says what would be right."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from coverage_files import no_robots_row, no_robots_rows, write_file

from llamaduo.cli.errors import InputError
from llamaduo.config.coverage import CoverageSettings
from llamaduo.coverage.check import check

ROOT = Path(__file__).parents[2]


def message(source: Path | str, categories: list[str] | None = None, **settings: Any) -> str:
    """The one message that the check of this source ends with."""
    with pytest.raises(InputError) as caught:
        check(CoverageSettings(source=str(source), **settings), {"my-task": categories or ["*"]})
    return str(caught.value)


def message_for_row(folder: Path, **changes: Any) -> str:
    """The message for a file whose third row has these changes."""
    rows = no_robots_rows(range(10))
    rows[2] |= changes
    text = message(write_file(folder / "pairs.jsonl", rows), ["Summarize"])
    return text.replace(str(folder), "").replace("/pairs.jsonl", "pairs.jsonl")


def turns(*pairs: tuple[str, Any]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in pairs]


# Files


def test_no_such_file_or_folder(tmp_path: Path) -> None:
    assert "gone.jsonl: no such file or folder" in message(tmp_path / "gone.jsonl")
    assert "gone: no such file or folder" in message(tmp_path / "gone")
    assert "gone.jsonl: no such file or folder" in message("data/gone.jsonl")


def test_a_folder_without_a_train_file_lists_what_is_there(tmp_path: Path) -> None:
    write_file(tmp_path / "test.jsonl", no_robots_rows(range(3)))
    text = message(tmp_path)
    assert "no file of the split 'train'" in text
    assert "found: test.jsonl" in text


def test_a_named_test_split_must_exist(tmp_path: Path) -> None:
    write_file(tmp_path / "train.jsonl", no_robots_rows(range(3)))
    assert "no file of the split 'exam'" in message(tmp_path, test_split="exam")
    assert "one file has no split 'exam'" in message(tmp_path / "train.jsonl", test_split="exam")


def test_two_files_of_one_split(tmp_path: Path) -> None:
    write_file(tmp_path / "train.jsonl", no_robots_rows(range(3)))
    write_file(tmp_path / "train.csv", no_robots_rows(range(3)))
    assert "more than one file of the split 'train': train.csv, train.jsonl" in message(tmp_path)


def test_an_unknown_ending(tmp_path: Path) -> None:
    (tmp_path / "pairs.xlsx").write_bytes(b"PK")
    assert "must end in one of .parquet, .jsonl, .json, .csv" in message(tmp_path / "pairs.xlsx")


FORMATS = ["parquet", "jsonl", "json", "csv"]


@pytest.mark.parametrize("named", FORMATS)
@pytest.mark.parametrize("written", FORMATS)
def test_a_file_that_is_not_what_its_name_says(tmp_path: Path, written: str, named: str) -> None:
    if written == named:
        return
    path = tmp_path / f"pairs.{named}"
    write_file(tmp_path / f"written.{written}", no_robots_rows(range(5))).rename(path)

    text = message(path)

    assert str(path) in text
    assert "name" in text
    assert "\n" not in text


def test_a_truncated_parquet_file(tmp_path: Path) -> None:
    path = write_file(tmp_path / "pairs.parquet", no_robots_rows(range(50)))
    path.write_bytes(path.read_bytes()[:-40])
    assert "not a parquet file, as its name says, or a damaged one" in message(path)


def test_json_that_is_no_array_of_objects(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"rows": []}')
    (tmp_path / "b.json").write_text('[{"prompt": "a", "response": "b"}, 7]')
    assert "a.json: holds a JSON object; an array of rows is expected" in message(tmp_path / "a.json")
    assert "b.json: row 2: a JSON number; an object" in message(tmp_path / "b.json")


def test_a_broken_line_names_its_row_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"prompt": "a", "response": "b"}\n\n{"prompt": "c", "resp\n')
    assert "a.jsonl: row 2 (line 3): not JSON Lines" in message(tmp_path / "a.jsonl")


def test_a_csv_row_with_too_few_fields(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('prompt,response\n"one\ntwo",b\nc\n')
    assert "a.csv: row 2 (line 4): 1 fields, but the header names 2 columns" in message(tmp_path / "a.csv")


def test_a_csv_quote_that_never_ends(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('prompt,response\na,"b\nc,d\n')
    assert "not CSV, as its name says" in message(tmp_path / "a.csv")


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv"])
def test_invalid_utf8_names_the_place(tmp_path: Path, ending: str) -> None:
    path = write_file(tmp_path / f"a{ending}", [{"prompt": f"Q{n}", "response": "café"} for n in range(5)])
    good, bad = b"Q3", b"Q\xe9"
    path.write_bytes(path.read_bytes().replace(good, bad))

    text = message(path)

    assert "not valid UTF-8 (byte 0xe9)" in text
    assert {".jsonl": "row 4", ".json": "line 15", ".csv": "line 5"}[ending] in text


def test_invalid_utf8_in_parquet_names_the_row(tmp_path: Path) -> None:
    prompts = pa.array([b"one", b"caf\xe9", b"three"], pa.binary())
    text_column = pa.Array.from_buffers(pa.string(), 3, prompts.buffers())
    pq.write_table(pa.table({"prompt": text_column, "response": ["a", "b", "c"]}), tmp_path / "a.parquet")
    assert "a.parquet: row 2: not valid UTF-8" in message(tmp_path / "a.parquet")


def test_half_a_surrogate_pair(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "a \\ud83d", "response": "b"}\n{"prompt": "c", "response": "d"}\n')
    assert "a.jsonl: row 1: turn 1: half a surrogate pair" in message(path)


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".json", ".csv"])
def test_an_empty_test_split(tmp_path: Path, ending: str) -> None:
    write_file(tmp_path / "train.parquet", no_robots_rows(range(5)))
    path = write_file(tmp_path / f"test{ending}", no_robots_rows([5]))
    if ending == ".parquet":
        pq.write_table(pq.read_table(path).slice(0, 0), path)
    else:
        path.write_text({".json": "[]", ".csv": "prompt,prompt_id,messages,category\n"}.get(ending, ""))
    text = message(tmp_path)
    assert f"{tmp_path}: the test split is empty" in text
    assert "coverage.test_ratio" in text


def test_an_empty_train_split(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")
    assert "the train split is empty" in message(tmp_path / "a.jsonl")


# Columns


def test_a_missing_column_names_those_found(tmp_path: Path) -> None:
    rows = [{name: value for name, value in row.items() if name != "category"} for row in no_robots_rows(range(5))]
    text = message(write_file(tmp_path / "a.parquet", rows), layout="no_robots")
    assert "the column 'category' is missing (layout no_robots); found: prompt, prompt_id, messages" in text


def test_columns_of_no_known_layout(tmp_path: Path) -> None:
    text = message(write_file(tmp_path / "a.csv", [{"question": "a", "answer": "b"}]))
    assert "no known layout" in text
    assert "coverage.columns" in text
    assert "found: question, answer" in text


def test_a_column_named_in_the_config_must_exist(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.csv", [{"question": "a", "answer": "b"}])
    text = message(path, columns={"prompt": "question", "response": "reply"})
    assert "the column 'reply' is missing (coverage.columns.response); found: question, answer" in text
    text = message(path, columns={"prompt": "question", "response": "answer", "category": "kind"})
    assert "the column 'kind' is missing (coverage.columns.category)" in text


def test_one_row_without_the_columns_of_the_others(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.jsonl", [{"prompt": "a", "response": "b"}, {"prompt": "c"}])
    assert "a.jsonl: row 2: the response is missing (column 'response')" in message(path)


# Rows


def test_blank_texts(tmp_path: Path) -> None:
    user = ("user", "Q?")
    for blank in ("", " \n\t", None):
        text = message_for_row(tmp_path, messages=turns(user, ("assistant", blank)))
        assert text == "tasks.my-task: pairs.jsonl: row 3: the response is blank (turn 2 of messages)"
    assert "row 3: the user turn is blank" in message_for_row(
        tmp_path, messages=turns(("user", " "), ("assistant", "A"))
    )
    path = write_file(tmp_path / "a.csv", [{"prompt": "a", "response": "b"}, {"prompt": "c", "response": "  "}])
    assert "a.csv: row 2 (line 3): the response is blank (column 'response')" in message(path)


def test_unknown_role(tmp_path: Path) -> None:
    text = message_for_row(tmp_path, messages=turns(("user", "Q?"), ("tool", "42"), ("assistant", "A")))
    assert "row 3: turn 2: unknown role 'tool'; roles are system, user, assistant" in text


def test_messages_that_do_not_end_in_a_response(tmp_path: Path) -> None:
    assert "row 3: the last turn must be the assistant's response; it is user" in message_for_row(
        tmp_path, messages=turns(("user", "Q?"))
    )
    assert "row 3: messages must be a list of turns" in message_for_row(tmp_path, messages=[])


def test_turns_out_of_order(tmp_path: Path) -> None:
    text = message_for_row(tmp_path, messages=turns(("user", "Q?"), ("user", "Well?"), ("assistant", "A")))
    assert "row 3: turn 2 is user, expected assistant" in text
    text = message_for_row(tmp_path, messages=turns(("user", "Q?"), ("system", "Hush"), ("assistant", "A")))
    assert "row 3: turn 2 is system, expected assistant" in text
    text = message_for_row(tmp_path, messages=turns(("system", "Hush"), ("assistant", "A")))
    assert "row 3: turn 2 is assistant, expected user" in text


def test_values_that_are_no_text(tmp_path: Path) -> None:
    assert "row 3: turn 1: the content is no text but 7" in message_for_row(
        tmp_path, messages=turns(("user", 7), ("assistant", "A"))
    )
    image = [{"type": "image_url", "image_url": {"url": "..."}}]
    assert "row 3: turn 1: holds something else than text" in message_for_row(
        tmp_path, messages=turns(("user", image), ("assistant", "A"))
    )
    assert "row 3: messages is text, but not JSON" in message_for_row(tmp_path, messages="[{'role'")
    assert "row 3: turn 1 must have role and content" in message_for_row(tmp_path, messages=["Q?"])


def test_the_same_id_twice_names_both_rows(tmp_path: Path) -> None:
    text = message_for_row(tmp_path, prompt_id="id-7")
    assert "row 8: the prompt_id 'id-7' is that of" in text
    assert "pairs.jsonl: row 3 too" in text
    write_file(tmp_path / "train.csv", no_robots_rows(range(5)))
    write_file(tmp_path / "test.csv", [no_robots_row(9, prompt_id="id-1")])
    assert "test.csv: row 1 (line 2): the prompt_id 'id-1' is that of" in message(tmp_path)


def test_no_id_and_no_category_where_other_rows_have_one(tmp_path: Path) -> None:
    assert "row 3: no prompt_id, although there is such a column" in message_for_row(tmp_path, prompt_id=None)
    assert "row 3: no category, although other rows have one" in message_for_row(tmp_path, category=" ")


# Tasks


def test_a_category_that_does_not_exist_lists_those_that_do(tmp_path: Path) -> None:
    rows = no_robots_rows(range(5)) + no_robots_rows(range(5, 8), "Coding")
    text = message(write_file(tmp_path / "a.jsonl", rows), ["Coding", "Summarise"])
    assert text.startswith("tasks.my-task: ")
    assert "no category 'Summarise'; there are: Coding (3 rows), Summarize (5 rows)" in text


def test_a_category_of_a_source_that_has_none(tmp_path: Path) -> None:
    text = message(write_file(tmp_path / "a.csv", [{"prompt": "a", "response": "b"}]), ["Coding"])
    assert "has no column of categories" in text
    assert 'categories: ["*"]' in text


def test_too_few_rows(tmp_path: Path) -> None:
    write_file(tmp_path / "train.jsonl", [*no_robots_rows(range(5)), no_robots_row(9, "Coding")])
    write_file(tmp_path / "test.jsonl", no_robots_rows(range(5, 7)))
    assert "too few rows of Summarize in the train split: 5 of at least 6 (coverage.minimum_train)" in message(
        tmp_path, ["Summarize"], minimum_train=6
    )
    assert "too few rows of Coding in the train split: 1 of at least 2" in message(tmp_path, ["Coding"])
    assert "too few rows of Coding in the test split: 0 of at least 1" in message(tmp_path, ["Coding"], minimum_train=1)


def test_a_single_prompt_cannot_be_divided(tmp_path: Path) -> None:
    rows = [{"prompt": "Again?", "response": f"Answer {n}"} for n in range(9)]
    assert "in the test split: 0 of at least 1" in message(write_file(tmp_path / "a.csv", rows))


def test_prompts_in_both_splits_where_that_is_to_be_an_error(tmp_path: Path) -> None:
    write_file(tmp_path / "train.jsonl", no_robots_rows(range(5)))
    write_file(tmp_path / "test.jsonl", [no_robots_row(4, prompt_id="x"), no_robots_row(7)])
    text = message(tmp_path, shared_prompts="error")
    assert "train.jsonl: row 5: the same prompt as" in text
    assert "test.jsonl: row 1" in text
    assert "drop_from_train" in text


# The Hub, and the program


def program(source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        str(ROOT / "scripts" / "coverage.py"),
        f"--settings={json.dumps({'source': source})}",
        '--categories=["*"]',
        "--train=/nonexistent/train.parquet",
        "--test=/nonexistent/test.parquet",
    ]
    return subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


def test_without_a_network_a_hub_dataset_cannot_be_read(tmp_path: Path) -> None:
    ended = program("someone/some-dataset", HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    assert ended.returncode == 1
    assert "someone/some-dataset: no such file or folder, and the Hugging Face Hub cannot be reached" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_program_ends_with_one_line_and_no_traceback(tmp_path: Path) -> None:
    ended = program(str(tmp_path / "gone.csv"))
    assert ended.returncode == 1
    assert ended.stderr == f"error: {tmp_path / 'gone.csv'}: no such file or folder (coverage.source)\n"
