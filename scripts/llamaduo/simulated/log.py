"""What the simulated service served, in a file that outlives it: one line per request, appended whole."""

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llamaduo.simulated.reply import Reply
from llamaduo.storage.append_log import read_json_lines

SERVED = 200
DROPPED = 0
"""The status of a request whose connection was dropped in the middle of the answer."""


class ServedLog:
    """Appends lines to a file that several servers may share; each line is one write, so lines stay whole."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def add(self, protocol: str, role: str, request: str, status: int, replies: Sequence[Reply] = ()) -> None:
        """Record one request by its digest, and what was answered and charged for, as soon as the answer goes out."""
        time = datetime.now(UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": time, "protocol": protocol, "role": role, "digest": request, "status": status}
        if replies:
            line |= {
                "samples": len(replies),
                "prompt_tokens": replies[0].prompt_tokens,
                "completion_tokens": sum(reply.completion_tokens for reply in replies),
                "cached_tokens": replies[0].cached_tokens,
                "cache_write_tokens": replies[0].cache_write_tokens,
            }
        os.write(self._file, (json.dumps(line) + "\n").encode())

    def close(self) -> None:
        os.close(self._file)


@dataclass(frozen=True)
class Served:
    """How many requests were answered, how many of them differ, and how many had been answered before."""

    answered: int
    distinct: int
    by_role: Mapping[str, int]
    faults: int

    @property
    def repeated(self) -> int:
        """Answers that were paid for more than once."""
        return self.answered - self.distinct


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log, oldest first; none when there is no such file."""
    return list(read_json_lines(path))


def count_served(path: Path) -> Served:
    """The counts over a log."""
    lines = read_log(path)
    answered = [line for line in lines if line["status"] == SERVED]
    return Served(
        answered=len(answered),
        distinct=len({line["digest"] for line in answered}),
        by_role=Counter(line["role"] for line in answered),
        faults=len(lines) - len(answered),
    )
