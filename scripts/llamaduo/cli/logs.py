"""How a log ends, fit for a terminal."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from llamaduo.cli.errors import WRONG_OPTIONS

MOST_BYTES = 65_536
"""Of a log no more than its end is read."""
LINES_OF_FAILED = 30
"""Number of log lines shown for a failed job."""


def last_lines(log: Path, count: int) -> list[str]:
    """The last `count` lines that are not empty; none of a log that is not there.

    What progress bars overwrote is left out. What a terminal would obey is written out: a log may quote an LLM.
    """
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - MOST_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return [_printable(line) for line in lines if line][-count:]


def has_wrong_options(log: Path) -> bool:
    """Whether the program that wrote a log did not take its options, so that another attempt is of no use."""
    return last_lines(log, 1) == [WRONG_OPTIONS]


def ends_of_logs(logs: Iterable[Path]) -> Iterator[str]:
    """The lines to show of a failed job's logs. Of one that is not there, none."""
    for log in filter(Path.is_file, logs):
        lines = last_lines(log, LINES_OF_FAILED)
        yield f"{log}: {'its last lines:' if lines else 'nothing is in it'}"
        yield from (f"  | {line}" for line in lines)


def _printable(line: str) -> str:
    return "".join(letter if letter.isprintable() or letter == "\t" else repr(letter)[1:-1] for letter in line)
