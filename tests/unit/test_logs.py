"""The end of a log, as it is shown in a terminal."""

import subprocess
import sys
from pathlib import Path

import pytest

from llamaduo.cli.logs import MOST_BYTES, has_wrong_options, last_lines


def test_what_progress_bars_overwrote_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"loading\nstep 1\rstep 2\rstep 3\n\nerror: no room\r\n")
    assert last_lines(log, 5) == ["loading", "step 3", "error: no room"]
    assert last_lines(log, 2) == ["step 3", "error: no room"]


def test_nothing_that_a_terminal_would_obey_is_left(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"judge said: \x1b[2J\x1b]0;owned\x07 \xff caf\xc3\xa9\ttab\n")
    assert last_lines(log, 1) == ["judge said: \\x1b[2J\\x1b]0;owned\\x07 \ufffd café\ttab"]


def test_of_a_long_log_only_the_end_is_read(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("x" * 3 * MOST_BYTES + "\nlast\n")
    first, last = last_lines(log, 5)
    assert (len(first), last) == (MOST_BYTES - len("\nlast\n"), "last")


def test_a_log_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert last_lines(tmp_path / "none.log", 5) == []
    assert last_lines(tmp_path, 5) == []


ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--no-such-option", "1"], 2),
        (["--settings.zeta", "0.7", "--task", "t", "--generator", "g", "--model", "m", "--output", "o"], 2),
        (["--metrics", "none.parquet", "--task", "t", "--generator", "g", "--model", "m", "--output", "o"], 1),
        (["--help"], 0),
    ],
)
def test_a_log_shows_whether_its_program_took_its_options(tmp_path: Path, options: list[str], status: int) -> None:
    log = tmp_path / "decide.log"
    with log.open("wb") as file:
        command = [sys.executable, str(ROOT / "scripts" / "decide.py"), *options]
        done = subprocess.run(command, cwd=tmp_path, stdout=file, stderr=file, check=False)
    assert done.returncode == status
    assert has_wrong_options(log) == (status == 2)
