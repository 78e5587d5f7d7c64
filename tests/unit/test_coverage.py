"""The coverage dataset is read from every place and layout, and split with no prompt on both sides."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from coverage_files import Rows, no_robots_row, no_robots_rows, write_file
from pydantic import ValidationError

from llamaduo.config.coverage import CoverageSettings, TaskSettings
from llamaduo.coverage.check import check
from llamaduo.coverage.source import read_source
from llamaduo.coverage.tasks import Splits, task_splits
from llamaduo.storage import tables
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.text import normalised

ROOT = Path(__file__).parents[2]
REAL_DATA = ROOT.parent / "shared" / "data" / "coverage"
ALL = ["*"]


def splits(source: Path, categories: list[str] = ALL, **settings: Any) -> Splits:
    read = CoverageSettings(source=str(source), **settings)
    return task_splits(read_source(read), read, categories)


def prompts(rows: Rows) -> set[str]:
    return {normalised(row["messages"][0]["content"]) for row in rows}


# Where it is read from


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".json", ".csv"])
def test_one_file_of_any_format_gives_the_same_rows(tmp_path: Path, ending: str) -> None:
    rows = no_robots_rows(range(20))
    found = splits(write_file(tmp_path / f"pairs{ending}", rows))

    assert sorted(found.train + found.test, key=lambda row: int(row["prompt_id"][3:])) == rows
    assert len(found.test) == 2


@pytest.mark.parametrize("ending", [".parquet", ".jsonl", ".json", ".csv"])
def test_the_splits_of_a_folder_are_used_as_given(tmp_path: Path, ending: str) -> None:
    write_file(tmp_path / f"train{ending}", no_robots_rows(range(8)))
    write_file(tmp_path / f"test{ending}", no_robots_rows(range(8, 11)))

    found = splits(tmp_path)

    assert found.train == no_robots_rows(range(8))
    assert found.test == no_robots_rows(range(8, 11))


def test_splits_may_have_other_names(tmp_path: Path) -> None:
    write_file(tmp_path / "learn.jsonl", no_robots_rows(range(8)))
    write_file(tmp_path / "exam.csv", no_robots_rows(range(8, 11)))

    found = splits(tmp_path, train_split="learn", test_split="exam")

    assert (len(found.train), len(found.test)) == (8, 3)


def test_a_downloaded_hub_dataset_with_its_numbered_files_is_read(tmp_path: Path) -> None:
    write_file(tmp_path / "data" / "train-00000-of-00002.parquet", no_robots_rows(range(5)))
    write_file(tmp_path / "data" / "train-00001-of-00002.parquet", no_robots_rows(range(5, 9)))
    write_file(tmp_path / "data" / "test-00000-of-00001.parquet", no_robots_rows(range(9, 11)))

    found = splits(tmp_path)

    assert [row["prompt_id"] for row in found.train] == [f"id-{number}" for number in range(9)]
    assert len(found.test) == 2


def test_a_folder_with_train_rows_only_is_divided(tmp_path: Path) -> None:
    write_file(tmp_path / "train.jsonl", no_robots_rows(range(40)))

    found = splits(tmp_path, test_ratio=0.25)

    assert (len(found.train), len(found.test)) == (30, 10)


def test_a_byte_order_mark_and_blank_lines_are_no_rows(tmp_path: Path) -> None:
    path = write_file(tmp_path / "pairs.jsonl", no_robots_rows(range(5)))
    path.write_bytes("\ufeff".encode() + path.read_bytes().replace(b"\n", b"\r\n\n"))

    found = splits(path)

    assert len(found.train) + len(found.test) == 5


# Layouts


def test_openai_chat_lines_keep_system_turn_and_earlier_turns(tmp_path: Path) -> None:
    turns = [
        {"role": "system", "content": "Answer in one word."},
        {"role": "user", "content": "Is water wet?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "And ice?"},
        {"role": "assistant", "content": "No."},
    ]
    short = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}]
    path = write_file(tmp_path / "chat.jsonl", [{"messages": turns}, {"messages": short}, {"messages": [*turns[:3]]}])

    found = splits(path, test_ratio=0.3)

    every = found.train + found.test
    assert turns in [row["messages"] for row in every]
    assert {row["prompt"] for row in every} == {"And ice?", "Hello", "Is water wet?"}
    assert {row["category"] for row in every} == {"*"}
    assert len({row["prompt_id"] for row in every}) == 3


def test_openai_names_for_the_system_turn_and_text_in_parts_are_understood(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "Say hi"}, {"type": "text", "text": "to Ann"}]
    first: list[dict[str, Any]] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": "Hi Ann"},
    ]
    second = [
        {"role": "system", "content": ""},
        {"role": "user", "content": "Say bye"},
        {"role": "assistant", "content": "Bye"},
    ]
    path = write_file(tmp_path / "chat.jsonl", [{"messages": first}, {"messages": second}])

    every = splits(path, layout="openai_chat", minimum_train=1)
    messages = [row["messages"] for row in every.train + every.test]

    assert [first[0] | {"role": "system"}, {"role": "user", "content": "Say hi\nto Ann"}, first[2]] in messages
    assert second[1:] in messages


def test_plain_columns_with_a_mapping(tmp_path: Path) -> None:
    rows = [{"question": f"Q{n}?", "answer": f"A{n}", "rules": "Be kind.", "kind": "qa", "key": n} for n in range(6)]
    columns = {"prompt": "question", "response": "answer", "system": "rules", "category": "kind", "prompt_id": "key"}

    found = splits(write_file(tmp_path / "log.csv", rows), ["qa"], columns=columns)

    row = min(found.train + found.test, key=lambda row: row["prompt_id"])
    assert row == {
        "prompt": "Q0?",
        "prompt_id": "0",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Q0?"},
            {"role": "assistant", "content": "A0"},
        ],
        "category": "qa",
    }


def test_ids_made_from_the_text_stay_the_same_and_tell_repeated_rows_apart(tmp_path: Path) -> None:
    rows = [{"prompt": f"Q{n % 5}?", "response": f"A{n % 5}"} for n in range(10)]
    first = splits(write_file(tmp_path / "one.jsonl", rows))
    again = splits(write_file(tmp_path / "two.csv", rows))

    identifiers = [row["prompt_id"] for row in first.train + first.test]
    assert len(set(identifiers)) == 10
    assert identifiers == [row["prompt_id"] for row in again.train + again.test]


# Tasks and splits


def test_a_task_has_the_rows_of_its_categories_and_other_rows_are_not_checked(tmp_path: Path) -> None:
    broken = no_robots_row(99, "Chat", messages=[{"role": "user", "content": "no response"}])
    rows = no_robots_rows(range(10), "Coding") + no_robots_rows(range(10, 20), "Classify") + [broken]
    path = write_file(tmp_path / "pairs.jsonl", [*rows, *no_robots_rows(range(20, 30), "Extract")])

    found = splits(path, ["Coding", "Extract"])

    every = found.train + found.test
    assert {row["category"] for row in every} == {"Coding", "Extract"}
    assert len(every) == 20
    assert {row["category"] for row in found.test} == {"Coding", "Extract"}


def test_the_division_keeps_rows_with_the_same_prompt_on_one_side(tmp_path: Path) -> None:
    # given prompts that differ in case, white space and width only
    spellings = ["How is {}?", "how  is {}?", "HOW IS {}?\n", "How is {}？"]
    rows = [
        {"prompt": spelling.format(name), "response": f"{index} well"}
        for index, spelling in enumerate(spellings)
        for name in "abcdefghij"
    ]

    found = splits(write_file(tmp_path / "pairs.jsonl", rows), test_ratio=0.3)

    assert prompts(found.train).isdisjoint(prompts(found.test))
    assert len(found.test) == 12


def test_the_division_depends_on_the_seed_and_not_on_the_order_of_rows(tmp_path: Path) -> None:
    rows = no_robots_rows(range(50))
    forwards = splits(write_file(tmp_path / "a.jsonl", rows))
    backwards = splits(write_file(tmp_path / "b.jsonl", rows[::-1]))
    other = splits(tmp_path / "a.jsonl", seed=7)

    assert prompts(forwards.test) == prompts(backwards.test)
    assert prompts(forwards.test) != prompts(other.test)
    assert len(other.test) == len(forwards.test) == 5


def test_a_prompt_in_both_given_splits_leaves_the_train_split(tmp_path: Path) -> None:
    shared = no_robots_row(3, prompt_id="other")
    shared["messages"][0]["content"] = shared["messages"][0]["content"].upper()
    write_file(tmp_path / "train.jsonl", no_robots_rows(range(8)))
    write_file(tmp_path / "test.jsonl", [shared])

    found = splits(tmp_path)

    assert found.dropped == 1
    assert [row["prompt_id"] for row in found.train] == [f"id-{n}" for n in range(8) if n != 3]


def test_the_same_words_under_another_system_turn_are_another_prompt(tmp_path: Path) -> None:
    train = [{"system": f"Text {n}: ...", "prompt": "Sum this up.", "response": f"Sum {n}"} for n in range(10)]
    found = splits(write_file(tmp_path / "pairs.jsonl", train), test_ratio=0.2)

    assert len(found.test) == 2


def test_tasks_refuse_what_makes_no_sense() -> None:
    good: dict[str, Any] = {"generators": ["gpt"], "volumes": [0, 1000]}
    assert TaskSettings(**good).categories == ["*"]
    wrong: dict[str, Any]
    for wrong in ({"volumes": [1000, 0]}, {"volumes": [5, 5]}, {"categories": ["*", "Coding"]}, {"generators": []}):
        with pytest.raises(ValidationError):
            TaskSettings(**{**good, **wrong})


# The program


def test_by_hand_the_program_writes_both_splits(tmp_path: Path) -> None:
    source = write_file(tmp_path / "pairs.csv", no_robots_rows(range(20)))
    command = [
        sys.executable,
        str(ROOT / "scripts" / "coverage.py"),
        f"--settings={json.dumps({'source': str(source)})}",
        '--categories=["Summarize"]',
        f"--train={tmp_path / 'out' / 'train.parquet'}",
        f"--test={tmp_path / 'out' / 'test.parquet'}",
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    first = [(tmp_path / "out" / name).read_bytes() for name in ("train.parquet", "test.parquet")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)

    assert [(tmp_path / "out" / name).read_bytes() for name in ("train.parquet", "test.parquet")] == first
    assert len(tables.read_rows(tmp_path / "out" / "train.parquet", COVERAGE)) == 18
    assert len(tables.read_rows(tmp_path / "out" / "test.parquet", COVERAGE)) == 2


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="../shared/data/coverage is not there")
def test_real_text_is_read_as_it_is() -> None:
    categories = ("Summarize", "Classify", "Closed QA", "Coding")
    for category in categories:
        found = splits(REAL_DATA, [category])
        assert (len(found.train), len(found.test), found.dropped) == (300, 50, 0)
    check(CoverageSettings(source=str(REAL_DATA)), {name: [name] for name in categories})
