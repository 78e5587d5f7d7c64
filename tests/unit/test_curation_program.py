"""`curate.py` by hand: on chunks of the workflow, and alone on any file of pairs."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llamaduo.cli.errors import InputError
from llamaduo.curation.pair_files import read_pair_files
from llamaduo.storage import tables
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.schemas.synthesis import POOL, REJECTED, SYNTHESIS

PROGRAM = Path(__file__).parents[2] / "scripts" / "curate.py"

PAIRS = [
    {
        "key": 1,
        "instruction": "Explain how a lock on a canal lifts a boat.",
        "response": "Water flows in.",
        "score": 0.5,
    },
    {"key": 2, "instruction": "Explain how a lock on a canal lifts a boat!", "response": "It rises.", "score": None},
    {"key": 3, "instruction": "Compare tea with coffee for a student.", "response": "Tea is milder.", "tags": ["x"]},
    {"key": 4, "instruction": None, "response": "nothing"},
]


def run(*options, status=0):
    done = subprocess.run([sys.executable, PROGRAM, *map(str, options)], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read_lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def chunk(path, number, instructions):
    rows = [
        {
            "generators": "g",
            "prompt_ids": f"g/{number}/{position}",
            "seed_prompts": "s",
            "category": "c",
            "call": number,
            "position": position,
            "stop_reason": "stop",
            "messages": text
            and [{"role": "user", "content": text}, {"role": "assistant", "content": f"Answer {number}."}],
            "error": None if text else "not JSON",
            "answer": None if text else "{",
        }
        for position, text in enumerate(instructions)
    ]
    tables.write_rows(path, rows, SYNTHESIS)
    return path


def test_chunks_of_the_workflow(tmp_path):
    first = chunk(tmp_path / "chunk-0.parquet", 0, ["Explain how a canal lock lifts a boat.", None])
    second = chunk(
        tmp_path / "chunk-1.parquet",
        1,
        ["Explain how the canal lock lifts a boat.", "Say why bees dance.", "Tell me what a monsoon brings."],
    )
    rows = [
        {
            "prompt": prompt,
            "prompt_id": name,
            "category": "c",
            "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": "So."}],
        }
        for name, prompt in (("train-1", "Say why the bees dance."), ("test-1", "Draw a map of Peru in words."))
    ]
    tables.write_rows(tmp_path / "train.parquet", rows[:1], COVERAGE)
    tables.write_rows(tmp_path / "test.parquet", rows[1:], COVERAGE)

    def curated(name, *files):
        folder = tmp_path / name
        run(
            *("--input", json.dumps([str(file) for file in files])),
            *("--train", tmp_path / "train.parquet", "--test", tmp_path / "test.parquet"),
            *("--settings", json.dumps({"rouge_threshold": 0.6})),
            *("--output", folder / "pool.parquet", "--rejected", folder / "rejected.parquet"),
            *("--funnel", folder / "funnel.json"),
        )
        return folder

    folder = curated("both", first, second)
    pool = tables.read_rows(folder / "pool.parquet", POOL)
    rejected = tables.read_rows(folder / "rejected.parquet", REJECTED)
    assert pq.read_schema(folder / "pool.parquet").equals(POOL)
    assert pq.read_schema(folder / "rejected.parquet").equals(REJECTED)
    assert [row["prompt_ids"] for row in pool] == ["g/0/0", "g/1/2"]
    assert [(row["prompt_ids"], row["reason"], row["matched_id"]) for row in rejected] == [
        ("g/0/1", "unparsable", None),
        ("g/1/0", "not_novel", "g/0/0"),
        ("g/1/1", "not_novel", "train-1"),
    ]
    assert json.loads((folder / "funnel.json").read_text())["accepted"] == 2

    # Then the pool of the first chunk alone is its beginning, and the same again gives the same bytes.
    alone = tables.read_rows(curated("alone", first) / "pool.parquet", POOL)
    assert alone == pool[:1]
    again = curated("again", first, second)
    for name in ("pool.parquet", "rejected.parquet", "funnel.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_lines_alone_keep_their_columns(tmp_path):
    source = write_lines(tmp_path / "in.jsonl", PAIRS)
    done = run("--input", source, "--output", tmp_path / "kept.jsonl", "--rejected", tmp_path / "rejected.jsonl")
    assert read_lines(tmp_path / "kept.jsonl") == [PAIRS[0], PAIRS[2]]
    rejected = read_lines(tmp_path / "rejected.jsonl")
    assert [(row["key"], row["reason"], row["matched_id"]) for row in rejected] == [
        (2, "not_novel", "input:0"),
        (4, "unparsable", None),
    ]
    assert rejected[0]["input_score"] is None
    assert "4/4" in done.stderr
    assert "generated 4, parsed 3" in done.stdout


def test_lines_to_parquet(tmp_path):
    source = write_lines(tmp_path / "in.jsonl", PAIRS)
    run("--input", source, "--output", tmp_path / "kept.parquet", "--rejected", tmp_path / "rejected.parquet")
    assert pq.read_table(tmp_path / "kept.parquet").column("key").to_pylist() == [1, 3]
    assert pq.read_schema(tmp_path / "kept.parquet").names == ["key", "instruction", "response", "score", "tags"]
    assert pq.read_table(tmp_path / "rejected.parquet").column("reason").to_pylist() == ["not_novel", "unparsable"]


def test_parquet_alone_keeps_columns_and_types(tmp_path):
    frame = pd.DataFrame(PAIRS).assign(
        when=pd.Timestamp("2024-01-02", tz="UTC"), size=pd.array([1, None, 3, 4], "Int8")
    )
    frame.to_parquet(tmp_path / "in.parquet", index=False)
    run("--input", tmp_path / "in.parquet", "--output", tmp_path / "kept.parquet", "--rejected", tmp_path / "no.jsonl")
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "kept.parquet"),
        pd.read_parquet(tmp_path / "in.parquet").iloc[[0, 2]].reset_index(drop=True),
    )
    assert [row["reason"] for row in read_lines(tmp_path / "no.jsonl")] == ["not_novel", "unparsable"]


def test_options_choose_filters_and_threshold(tmp_path):
    source = write_lines(tmp_path / "in.jsonl", PAIRS)
    kept = tmp_path / "kept.jsonl"
    run("--input", source, "--output", kept, "--filters", "rules,exact")
    assert len(read_lines(kept)) == 3
    run("--input", source, "--output", kept, "--filters", "novelty", "--rouge-threshold", "1")
    assert len(read_lines(kept)) == 3
    run("--input", source, "--output", kept, "--pool", source.with_name("pool.jsonl"), status=1)
    write_lines(tmp_path / "pool.jsonl", PAIRS[2:3])
    run("--input", source, "--output", kept, "--pool", tmp_path / "pool.jsonl")
    assert [row["key"] for row in read_lines(kept)] == [1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.jsonl", None, "missing.jsonl: no such file"),
        ("fake.parquet", b"not parquet", "fake.parquet: not a parquet file"),
        ("cut.parquet", b"PAR1 cut off", "cut.parquet: not a readable parquet file"),
        ("a.txt", b"text", "a.txt: format not known"),
        ("a.jsonl", b'{"instruction": "x", "response": "y"}\n{"instruction": \n', "a.jsonl: line 2: not JSON"),
        ("a.jsonl", b'["x"]\n', "a.jsonl: line 1: list found"),
        ("a.jsonl", b'{"instruction": "\xff", "response": "y"}\n', "a.jsonl: line 1: not UTF-8"),
        ("a.jsonl", b'{"question": "x", "answer": "y"}\n', "found: question, answer"),
    ],
)
def test_wrong_files_are_explained_in_one_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        read_pair_files([tmp_path / name])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_wrong_file_ends_the_program_in_one_line(tmp_path):
    pq.write_table(pa.table({"prompt": ["x"]}), tmp_path / "in.parquet")
    done = run("--input", tmp_path / "in.parquet", "--output", tmp_path / "kept.parquet", status=1)
    assert done.stderr.startswith(f"error: {tmp_path}/in.parquet: the columns messages, or instruction and response,")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "kept.parquet").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--filters", "rules,bleu"], "'bleu' not known; choose from rules, exact"),
        (["--rouge-threshold", "70"], "70 is not between 0 and 1"),
        (["--train", "nowhere.parquet"], "nowhere.parquet: no such file"),
        (["--rejected", "rejected.csv"], "rejected.csv: format not known"),
    ],
)
def test_wrong_options_are_explained(tmp_path, options, message):
    source = write_lines(tmp_path / "in.jsonl", PAIRS)
    done = run("--input", source, "--output", tmp_path / "kept.jsonl", *options, status=1)
    assert message in done.stderr
