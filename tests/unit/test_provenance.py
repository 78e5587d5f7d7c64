"""The record of a start of the workflow, beside the results."""

import json
import subprocess
from pathlib import Path

from llamaduo.workflow.provenance import PACKAGES, commit, record_start


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
