"""The one reader of journals: their lines, read one by one, and the records in them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from llamaduo.service.interface import Answer
from llamaduo.storage.append_log import Line, read_lines


class Record(NamedTuple):
    """An answer that was paid for, the journal's key of it, and what determined it, as `identity.record` tells."""

    key: str
    request: Mapping[str, Any]
    answer: Answer

    @property
    def attempt(self) -> int:
        """How many answers to the same request there were before."""
        return int(self.request.get("attempt") or 0)

    @property
    def is_simulated(self) -> bool:
        """Whether a simulated service gave the answer."""
        return bool(self.request.get("simulated"))


def read_record(text: bytes) -> Record:
    """The record in a line. Raises ValueError, KeyError, TypeError or RecursionError if it is no record."""
    content = json.loads(text)
    return Record(content["key"], dict(content.get("request", ())), Answer(**content["answer"]))


def read_journal(file: Path | int) -> Iterator[tuple[Line, Record | None]]:
    """Every line of a journal with its record, or None if it is no record. Raises `FileNotFoundError`.

    `file`: its path, or the open file.
    """
    for line in read_lines(file):
        record = None
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            record = read_record(line.text)
        yield line, record


def read_records(path: Path) -> Iterator[Record]:
    """The records of a journal that another process may be writing to; none if there is no file.

    Lines that are no records are skipped: whoever opens the journal to write to it is told of them.
    """
    with suppress(FileNotFoundError):
        for _, record in read_journal(path):
            if record is not None:
                yield record
