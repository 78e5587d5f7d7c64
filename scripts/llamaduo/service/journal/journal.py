"""The record of every answer that was paid for: lines of JSON, only ever appended, on disk before they count.

Safe on a file system that several hosts share: the lease lets one process write at a time, a writer sees by the file's
length that no other one has written, and whoever opens the file after another host has closed it sees all of it, as
NFS guarantees.
"""

import asyncio
import json
import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from llamaduo.cli.errors import InputError, ServiceError
from llamaduo.service.interface import Answer
from llamaduo.storage.canonical import canonical
from llamaduo.storage.files import sync_folder
from llamaduo.storage.lease import Lease, lease

COMMIT_SECONDS = 0.005
"""So long an answer waits for others to be written to disk together with it."""
LENGTH_BITS = 40
"""A line's place is kept as one number, its length in the lower bits: a line of a terabyte would fit."""


class Entry(NamedTuple):
    """What is appended: an answer, its key, and its request's record as canonical JSON."""

    key: str
    request: str
    answer: Answer


class Index:
    """Where in a file the answers stand, by their keys; the answers themselves stay on disk."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._places: dict[str, int] = {}

    def get(self, key: str) -> Answer | None:
        """The answer under `key`, read from the file; None when there is none."""
        place = self._places.get(key)
        if place is None:
            return None
        return record(os.pread(self._file, place & (1 << LENGTH_BITS) - 1, place >> LENGTH_BITS))[1]

    def put(self, key: str, offset: int, length: int) -> None:
        """Note where the line with the answer under `key` stands; a later one counts instead of an earlier one."""
        self._places[key] = offset << LENGTH_BITS | length


class Journal:
    """The answers of one journal by their keys, and the file they are appended to."""

    def __init__(self, path: Path, file: int, held: Lease) -> None:
        self._path, self._file, self._lease = path, file, held
        self._index = Index(file)
        self._size = _read(path, file, self._index)
        self._waiting: list[_Waiting] = []
        self._commit: asyncio.Task[None] | None = None

    def get(self, key: str) -> Answer | None:
        """The answer recorded under `key`, if there is one."""
        return self._index.get(key)

    async def append(self, key: str, request: Mapping[str, Any], answer: Answer) -> None:
        """Record one answer, whose request has this record. As `append_all`."""
        await self.append_all([Entry(key, canonical(request), answer)])

    async def append_all(self, entries: Sequence[Entry]) -> None:
        """Record answers, all or none; they are on disk when this returns.

        Answers that arrive while others are being written go to disk together, with one wait for the disk.
        Raises `ServiceError` when the file cannot be written.
        """
        lines = [_line(entry) for entry in entries]
        written = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting([entry.key for entry in entries], lines, written))
        if self._commit is None or self._commit.done():
            self._commit = asyncio.create_task(self._write_waiting())
        await written

    async def _write_waiting(self) -> None:
        while self._waiting:
            await asyncio.sleep(COMMIT_SECONDS)
            batch, self._waiting = self._waiting, []
            lines = b"".join(line for waiting in batch for line in waiting.lines)
            problem: Exception | None = None
            try:
                await asyncio.get_running_loop().run_in_executor(None, self._write, lines)
            except OSError as error:
                problem = ServiceError(f"{self._path}: cannot be written: {error.strerror}")
            except Exception as error:
                problem = error
            for waiting in batch:
                if problem is None:
                    self._note(waiting)
                if waiting.written.cancelled():
                    continue
                if problem is None:
                    waiting.written.set_result(None)
                else:
                    waiting.written.set_exception(problem)

    def _note(self, waiting: "_Waiting") -> None:
        for key, line in zip(waiting.keys, waiting.lines, strict=True):
            self._index.put(key, self._size, len(line))
            self._size += len(line)

    def _write(self, lines: bytes) -> None:
        self._lease.check()
        if os.fstat(self._file).st_size != self._size:
            raise ServiceError(f"{self._path}: was changed by another process; this one stops")
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise


@dataclass
class _Waiting:
    """Lines that wait to be written, by their keys, and who waits for it."""

    keys: list[str]
    lines: list[bytes]
    written: asyncio.Future[None]


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """The journal at `path`, held against every other process; made when there is none.

    A last line that a killed process left unfinished is removed: its answer did not count yet.
    Raises `InputError` when another process holds it (`LeaseHeld`), or a line before the last is not a record.
    """
    with lease(path, f"the journal {path}") as held:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            sync_folder(path.parent)  # a new file's name, too
            yield Journal(path, file, held)
        finally:
            os.close(file)


@contextmanager
def open_earlier(paths: Iterable[Path]) -> Iterator[list[Index]]:
    """The answers in journals that other processes may hold and be writing to; files that do not exist are empty.

    Lines that are no records are passed over: whoever opens the journal to write to it is told of them.
    """
    indexes: list[Index] = []
    files: list[int] = []
    try:
        for path in paths:
            with suppress(FileNotFoundError):
                files.append(os.open(path, os.O_RDONLY))
                indexes.append(Index(files[-1]))
                for place in places(files[-1]):
                    if place.key is not None:
                        indexes[-1].put(place.key, place.offset, place.length)
        yield indexes
    finally:
        for file in files:
            os.close(file)


def answers_in(path: Path, keys: Container[str]) -> dict[str, Answer]:
    """The answers under `keys` in a journal that another process may hold and be writing to, as `open_earlier`."""
    found: dict[str, Answer] = {}
    with suppress(FileNotFoundError), path.open("rb") as lines:
        for line in lines:
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                key, answer = record(line)
                if key in keys:
                    found[key] = answer
    return found


class Place(NamedTuple):
    """A line of a journal: where it stands, in bytes, and its record's key; or, with `key` None, that it is none."""

    number: int
    offset: int
    length: int
    key: str | None
    ends: bool


def places(file: Path | int) -> Iterator[Place]:
    """The lines of a journal, numbered from 1, in their order. `file`: its path, or the open file, from its start."""
    offset = 0
    with open(file, "rb", closefd=isinstance(file, Path)) as lines:
        for number, line in enumerate(lines, start=1):
            key = None
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                key, _ = record(line)
            yield Place(number, offset, len(line), key, line.endswith(b"\n"))
            offset += len(line)


def record(line: bytes) -> tuple[str, Answer]:
    """The key and the answer in a line. Raises ValueError, KeyError, TypeError or RecursionError if it is no record."""
    content = json.loads(line)
    return content["key"], Answer(**content["answer"])


def _line(entry: Entry) -> bytes:
    # The canonical spelling of the whole, put together from parts that are spelt already.
    answer = canonical(vars(entry.answer))
    return f'{{"answer":{answer},"key":{json.dumps(entry.key)},"request":{entry.request}}}\n'.encode()


def _read(path: Path, file: int, index: Index) -> int:
    """Index a journal's records and mend its end. Returns its size in bytes."""
    size = 0
    unfinished = False
    for place in places(path):
        if place.key is None:
            if not place.ends:
                break
            raise InputError(
                f"{path}: line {place.number} is not a record of the journal; remove the line, or set it aside with "
                f"scripts/journal.py --compact --journals {path}"
            )
        index.put(place.key, place.offset, place.length)
        size += place.length
        unfinished = not place.ends
    if size < os.fstat(file).st_size:
        os.ftruncate(file, size)
        os.fsync(file)
    elif unfinished:
        os.write(file, b"\n")
        os.fsync(file)
        size += 1
    return size
