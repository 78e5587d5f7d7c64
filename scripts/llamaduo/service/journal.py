"""The record of every answer that was paid for: lines of JSON, only ever appended, on disk before they count."""

import asyncio
import json
import os
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llamaduo.canonical import canonical
from llamaduo.errors import InputError, ServiceError
from llamaduo.files import sync_folder
from llamaduo.lease import Lease, lease
from llamaduo.service.interface import Answer


class Journal:
    """The answers of one journal by their keys, and the file they are appended to."""

    def __init__(self, path: Path, file: int, held: Lease) -> None:
        self._path, self._file, self._lease = path, file, held
        self._answers = _read(path, file)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._commit: asyncio.Task[None] | None = None

    def get(self, key: str) -> Answer | None:
        """The answer recorded under `key`, if there is one."""
        return self._answers.get(key)

    async def append(self, key: str, request: Mapping[str, Any], answer: Answer) -> None:
        """Record an answer; it is on disk when this returns.

        Answers that arrive while others are being written go to disk together, with one wait for the disk.
        Raises `ServiceError` when the file cannot be written.
        """
        line = canonical({"key": key, "request": request, "answer": asdict(answer)}).encode() + b"\n"
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((line, written))
        if self._commit is None or self._commit.done():
            self._commit = asyncio.create_task(self._write_waiting())
        await written
        self._answers[key] = answer

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            problem: Exception | None = None
            try:
                await asyncio.to_thread(self._write, b"".join(line for line, _ in batch))
            except OSError as error:
                problem = ServiceError(f"{self._path}: cannot be written: {error.strerror}")
            except Exception as error:
                problem = error
            for _, written in batch:
                if written.cancelled():
                    continue
                if problem is None:
                    written.set_result(None)
                else:
                    written.set_exception(problem)

    def _write(self, lines: bytes) -> None:
        self._lease.check()
        size = os.fstat(self._file).st_size
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(self._file, left) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            raise


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """The journal at `path`, held against every other process; made when there is none.

    A last line that a killed process left unfinished is removed: its answer did not count yet.
    Raises `InputError` when another process holds it (`LeaseHeld`), or a line before the last is not a record.
    """
    with lease(path, f"the journal {path}") as held:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            sync_folder(path.parent)  # a new file's name, too
            yield Journal(path, file, held)
        finally:
            os.close(file)


def answers_in(path: Path, keys: Container[str]) -> dict[str, Answer]:
    """The answers under `keys` in a journal that another process may hold and be writing to.

    Lines that are no records are passed over: whoever opens the journal to write to it is told of them.
    """
    found: dict[str, Answer] = {}
    with suppress(FileNotFoundError), path.open("rb") as lines:
        for line in lines:
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                key, answer = _record(line)
                if key in keys:
                    found[key] = answer
    return found


def _record(line: bytes) -> tuple[str, Answer]:
    record = json.loads(line)
    return record["key"], Answer(**record["answer"])


def _read(path: Path, file: int) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    whole = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                key, answer = _record(line)
                answers[key] = answer
            except (ValueError, KeyError, TypeError) as error:
                if not line.endswith(b"\n"):
                    break
                raise InputError(f"{path}: line {number} is not a record of the journal; remove the line") from error
            whole += len(line)
    if whole < os.fstat(file).st_size:
        os.ftruncate(file, whole)
        os.fsync(file)
    elif whole and os.pread(file, 1, whole - 1) != b"\n":
        os.write(file, b"\n")
        os.fsync(file)
    return answers
