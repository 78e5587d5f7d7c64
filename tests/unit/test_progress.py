"""Progress as lines that a terminal, a log file and a batch job's output show alike."""

import re

import pytest

from llamaduo.cli import progress
from llamaduo.cli.progress import Progress


def test_a_line_at_the_start_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("grading", 4, "call") as shown:
        for _ in range(4):
            shown.advance()

    first, last = capsys.readouterr().err.splitlines()
    assert "grading" in first
    assert "0/4" in first
    assert "4/4" in last
    assert "100%" in last


def test_in_between_a_line_when_one_is_due(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)

    with Progress("train", 2, "step") as shown:
        shown.advance(note="loss 0.5")

    assert "loss 0.5" in capsys.readouterr().err


def test_what_was_done_before_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("respond", 10, "response", done=6) as shown:
        shown.advance(4)

    assert "6/10" in capsys.readouterr().err


def test_an_error_is_shown_as_stopped(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), Progress("train", 2):
        raise RuntimeError

    assert "stopped" in capsys.readouterr().err


def test_without_a_total_it_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("asking", None, "call") as shown:
        shown.advance(3)

    assert "3call" in capsys.readouterr().err


def test_what_turns_out_to_be_done_counts_and_is_no_speed(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("asking", 105, "call") as shown:
        shown.advance(100, was_done=True)

    last = capsys.readouterr().err.splitlines()[-1]
    assert "100/105" in last
    assert re.search(r"(?<![\d.])0?\.?0*call/s|\?call/s", last), last


def test_a_status_ends_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("asking", 2, "call", status=lambda: "$1.50, 3 failed tries"):
        pass

    assert capsys.readouterr().err.count("$1.50, 3 failed tries") == 2
