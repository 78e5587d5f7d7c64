"""What is kept beside the results of how they were made: the starts, and what Snakemake recorded of each output."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from llamaduo.workflow.provenance import PACKAGES, WHOLE_BYTES, Mirror, commit, record_start


def test_each_start_adds_one_line(tmp_path: Path) -> None:
    path = tmp_path / "settings" / "starts.jsonl"

    record_start(path, "mine.yaml")
    record_start(path, "other.yaml")

    starts = [json.loads(line) for line in path.read_text().splitlines()]
    assert [start["config"] for start in starts] == ["mine.yaml", "other.yaml"]
    assert set(starts[0]["packages"]) == set(PACKAGES)
    assert starts[0]["packages"]["torch"].startswith("2.13.0")


def test_the_commit_says_when_files_were_changed(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True)

    assert commit(tmp_path) is None, "not a checkout yet"
    git("init", "--quiet")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "--quiet", "--message", "one")
    clean = commit(tmp_path)
    (tmp_path / "file").write_text("two")

    assert clean is not None
    assert len(clean) == 40
    assert commit(tmp_path) == f"{clean}-dirty"


# The mirror of Snakemake's records


def made(results: Path, name: str, text: str, time: float = 1000.0) -> dict[str, Any]:
    """An output and what Snakemake records of it."""
    path = results / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time, time))
    source = f"{results}/coverage/train.parquet"
    return {
        "rule": "finetune",
        "params": ["'learning_rate: 0.1'"],
        "input": ["outside", source],
        "input_checksums": {source: "sha256:1"},
        "endtime": time,
        "conda_env": None,
    }


def noted(results: Path, name: str = "runs/adapter.txt", text: str = "one") -> dict[str, Any]:
    """An output whose record is mirrored."""
    record = made(results, name, text)
    mirror = Mirror(str(results))
    mirror.note(f"{results}/{name}", record)
    mirror.save()
    return record


def test_a_moved_output_gets_its_record_back_with_its_new_paths(tmp_path: Path) -> None:
    record = noted(tmp_path / "results")
    moved = (tmp_path / "results").rename(tmp_path / "moved")
    output = f"{moved}/runs/adapter.txt"

    mirror = Mirror(str(moved))
    assert list(mirror.outputs()) == [output]
    source = f"{moved}/coverage/train.parquet"
    assert mirror.lost(output, None) == record | {
        "input": sorted(["outside", source]),
        "input_checksums": {source: "sha256:1"},
    }


def test_a_copy_without_times_gets_its_record_and_its_time_back(tmp_path: Path) -> None:
    noted(tmp_path / "results")
    shutil.copytree(tmp_path / "results", tmp_path / "copy", copy_function=shutil.copyfile)
    output = f"{tmp_path}/copy/runs/adapter.txt"

    mirror = Mirror(f"{tmp_path}/copy")
    assert mirror.lost(output, None) is not None
    assert not mirror.knows(output)
    mirror.set_back(output)
    assert mirror.knows(output)


@pytest.mark.parametrize("text", ["two", "three"])
def test_another_content_gets_no_record(tmp_path: Path, text: str) -> None:
    noted(tmp_path / "results")
    (tmp_path / "results/runs/adapter.txt").write_text(text)

    mirror = Mirror(f"{tmp_path}/results")
    assert mirror.lost(f"{tmp_path}/results/runs/adapter.txt", None) is None


def test_a_record_of_this_output_is_kept_and_one_of_another_gives_way(tmp_path: Path) -> None:
    noted(tmp_path / "results")
    output = f"{tmp_path}/results/runs/adapter.txt"
    mirror = Mirror(f"{tmp_path}/results")

    assert mirror.lost(output, 1000.0) is None, "the record that is mirrored"
    assert mirror.lost(output, 900.0) is not None, "about an output that was made at another time"
    made(tmp_path / "results", "runs/adapter.txt", "one", time=2000.0)
    assert mirror.lost(output, 2000.0) is None, "made again since"
    assert mirror.lost(output, 900.0) is None, "nobody knows"


def test_an_output_that_was_written_again_since_its_record_is_not_noted(tmp_path: Path) -> None:
    record = made(tmp_path / "results", "runs/adapter.txt", "one")
    made(tmp_path / "results", "runs/adapter.txt", "two", time=2000.0)
    output = f"{tmp_path}/results/runs/adapter.txt"

    mirror = Mirror(f"{tmp_path}/results")
    mirror.note(output, record)
    assert not mirror.knows(output)
    mirror.save()
    assert not (tmp_path / "results/provenance").exists(), "nothing to write"


def test_a_folder_is_told_by_samples_of_large_files(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "adapter"
    folder.mkdir(parents=True)
    weights = folder / "adapter.safetensors"
    weights.write_bytes(bytes(WHOLE_BYTES + 1))
    (folder / ".snakemake_timestamp").touch()
    os.utime(folder / ".snakemake_timestamp", (1000, 1000))
    mirror = Mirror(f"{tmp_path}/results")
    mirror.note(str(folder), {"endtime": 1000.0, "input": None, "input_checksums": None})
    mirror.save()

    os.utime(weights, (3000, 3000))
    os.utime(folder / ".snakemake_timestamp", (3000, 3000))
    mirror = Mirror(f"{tmp_path}/results")
    assert mirror.lost(str(folder), None) is not None
    mirror.set_back(str(folder))
    assert (folder / ".snakemake_timestamp").stat().st_mtime == 1000
    weights.write_bytes(bytes(WHOLE_BYTES) + b"1")
    assert mirror.lost(str(folder), None) is None


def test_what_is_gone_is_forgotten_and_a_damaged_mirror_is_empty(tmp_path: Path) -> None:
    noted(tmp_path / "results")
    noted(tmp_path / "results", "runs/other.txt")
    (tmp_path / "results/runs/adapter.txt").unlink()
    assert list(Mirror(f"{tmp_path}/results").outputs()) == [f"{tmp_path}/results/runs/other.txt"]
    noted(tmp_path / "results", "runs/third.txt")
    records = tmp_path / "results/provenance/records.json"
    assert sorted(json.loads(records.read_text())) == ["runs/other.txt", "runs/third.txt"]

    for damage in ("{", "[]", '{"a": 1}', '{"a": {"record": {}, "state": {"size": 1}}}'):
        records.write_text(damage)
        assert list(Mirror(f"{tmp_path}/results").outputs()) == []
