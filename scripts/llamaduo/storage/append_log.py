"""Files of lines of JSON that only grow; a kill may have cut off the last line.

The line break is written last, so a last line that has none is either unfinished or lacks nothing else.
"""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from llamaduo.storage.files import sync_folder

BLOCK_BYTES = 1 << 16
"""The end of a file is searched for its last line break in blocks of this size."""


class Line(NamedTuple):
    """A line: its number from 1, the byte that it begins at, and its text, with the line break if it has one."""

    number: int
    offset: int
    text: bytes

    @property
    def ends(self) -> bool:
        """Whether it has its line break; only the last line of a file may have none."""
        return self.text.endswith(b"\n")


class AppendLog:
    """A file that is open for appending, made if there is none. Every method raises `OSError`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The umask decides whether a group may write.
        self.handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        sync_folder(path.parent)  # a new file's name, too

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self.handle)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return os.fstat(self.handle).st_size

    @property
    def ends(self) -> bool:
        """Whether its last line has a line break."""
        size = self.size
        return not size or os.pread(self.handle, 1, size - 1) == b"\n"

    def append(self, lines: bytes) -> None:
        """Append lines, all or none; they are on disk when this returns."""
        size = self.size
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(self.handle, left) :]
            os.fsync(self.handle)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self.handle, size)
            raise

    def mend(self) -> None:
        """Remove an unfinished last line, or add the line break if that is all it lacks.

        Only for a process that keeps all others from writing, by a lease or a lock.
        """
        if self.ends:
            return
        size, start = self.size, self._start_of_last_line()
        if _is_json(os.pread(self.handle, size - start, start)):
            self.append(b"\n")
        else:
            os.ftruncate(self.handle, start)
            os.fsync(self.handle)

    def _start_of_last_line(self) -> int:
        end = self.size
        while end:
            start = max(end - BLOCK_BYTES, 0)
            found = os.pread(self.handle, end - start, start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return 0


def append_json(path: Path, value: dict[str, Any]) -> None:
    """Append one line to a file that other processes may append to as well: below an unfinished line, not to it."""
    line = json.dumps(value, sort_keys=True).encode() + b"\n"
    with AppendLog(path) as log:
        log.append(line if log.ends else b"\n" + line)


def read_lines(file: Path | int) -> Iterator[Line]:
    """The lines of a file, read one by one. `file`: its path, or the open file, which is read from its start."""
    offset = 0
    if isinstance(file, int):
        os.lseek(file, 0, os.SEEK_SET)
    with open(file, "rb", closefd=isinstance(file, Path)) as lines:
        for number, text in enumerate(lines, start=1):
            yield Line(number, offset, text)
            offset += len(text)


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects in a file that other processes may append to; none if there is no file. Other lines are skipped."""
    with suppress(FileNotFoundError):
        for line in read_lines(path):
            with suppress(ValueError, RecursionError):
                value = json.loads(line.text)
                if isinstance(value, dict):
                    yield value


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
