"""What SLURM is asked, and how: by programs that stand for its own and print what they were given."""

from pathlib import Path

import pytest

from llamaduo.cli.errors import ServiceError
from llamaduo.cluster.queue import ask


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "squeue"
    program.write_text("#!/bin/sh\n/usr/bin/env | /bin/grep ^SQUEUE_ | /usr/bin/sort\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return program


def test_what_users_hide_from_their_own_eyes_is_told(squeue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUEUE_PARTITION", "gpu")
    monkeypatch.setenv("SQUEUE_NAMES", "mine")
    assert ask("squeue") == "SQUEUE_ALL=1\n"


def test_a_program_that_cannot_be_started_just_now_is_no_answer(squeue: Path) -> None:
    squeue.write_text("not a program")
    with pytest.raises(ServiceError, match=r"SLURM does not answer: .*Exec format error"):
        ask("squeue")


def test_a_machine_without_slurm_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ServiceError, match="squeue: no such program; SLURM is not installed here"):
        ask("squeue")
