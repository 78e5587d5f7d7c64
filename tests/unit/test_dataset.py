"""A volume's dataset: the train split, then the first rows of the pool; smaller ones are prefixes of larger ones."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from coverage_files import Rows, no_robots_rows

from llamaduo.cli.errors import InputError
from llamaduo.storage import tables
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.schemas.dataset import DATASET
from llamaduo.storage.schemas.synthesis import POOL
from llamaduo.training.dataset import build_dataset

ROOT = Path(__file__).parents[2]


def pool_rows(count: int) -> Rows:
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    return [
        {
            "generators": "gpt",
            "prompt_ids": f"gpt/{number}/0",
            "seed_prompts": "seed",
            "category": "Summarize",
            "call": number,
            "position": 0,
            "stop_reason": "stop",
            "messages": turns,
            "error": None,
            "answer": None,
        }
        for number in range(count)
    ]


def test_the_train_split_comes_first_and_then_the_first_rows_of_the_pool() -> None:
    rows = build_dataset(no_robots_rows(range(3)), pool_rows(10), volume=4, include_train=True)

    assert [row["prompt_id"] for row in rows] == ["id-0", "id-1", "id-2", "gpt/0/0", "gpt/1/0", "gpt/2/0", "gpt/3/0"]
    assert [row["origin"] for row in rows] == ["coverage"] * 3 + ["gpt"] * 4
    assert all(set(row) == set(DATASET.names) for row in rows)


def test_a_smaller_volume_is_a_prefix_of_a_larger_one() -> None:
    train = no_robots_rows(range(3))
    datasets = [build_dataset(train, pool_rows(size), volume, True) for size, volume in ((8, 0), (8, 4), (10, 10))]

    assert datasets[1][: len(datasets[0])] == datasets[0]
    assert datasets[2][: len(datasets[1])] == datasets[1]


def test_the_train_split_can_be_left_out() -> None:
    assert {row["origin"] for row in build_dataset(no_robots_rows(range(3)), pool_rows(5), 5, False)} == {"gpt"}
    with pytest.raises(InputError, match="nothing to train on"):
        build_dataset(no_robots_rows(range(3)), None, 0, False)


def test_a_pool_that_is_too_small_is_an_error() -> None:
    with pytest.raises(InputError, match="a volume of 6 synthetic samples is wanted, but the pool holds 5"):
        build_dataset(no_robots_rows(range(3)), pool_rows(5), 6, True)
    with pytest.raises(InputError, match="but there is no pool"):
        build_dataset(no_robots_rows(range(3)), None, 6, True)


def test_by_hand_the_programs_build_a_dataset_and_measure_a_pool(tmp_path: Path) -> None:
    tables.write_rows(tmp_path / "train.parquet", no_robots_rows(range(3)), COVERAGE)
    tables.write_rows(tmp_path / "pool.parquet", pool_rows(10), POOL)
    (tmp_path / "funnel.json").write_text(json.dumps({"generated": 101, "unparsable": 1, "accepted": 10}))

    def program(name: str, **options: object) -> None:
        given = [f"--{option}={value}" for option, value in options.items()]
        subprocess.run([sys.executable, str(ROOT / "scripts" / name), *given], check=True, timeout=60)

    train, pool = tmp_path / "train.parquet", tmp_path / "pool.parquet"
    program("build_dataset.py", train=train, volume=0, output=tmp_path / "0.parquet")
    program("build_dataset.py", train=train, pool=pool, volume=6, include_train="false", output=tmp_path / "6.parquet")
    program(
        "measure_pool.py",
        funnel=tmp_path / "funnel.json",
        volume=40,
        chunks=1,
        settings="{}",
        output=tmp_path / "m.json",
    )

    assert len(tables.read_rows(tmp_path / "0.parquet", DATASET)) == 3
    assert len(tables.read_rows(tmp_path / "6.parquet", DATASET)) == 6
    measured = json.loads((tmp_path / "m.json").read_text())
    assert (measured["reached"], measured["yield"], measured["volume"], measured["chunks"]) == (False, 0.05, 40, 1)
