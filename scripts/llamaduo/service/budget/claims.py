"""What steps claim of a budget, in one file that only grows and is read and written under a lock."""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from llamaduo.cli.errors import InputError
from llamaduo.storage.canonical import canonical
from llamaduo.storage.files import sync_folder

LOCK_PATIENCE_SECONDS = 60.0
"""A lock is held for milliseconds; one that is held for so long is that of a process that stands still."""


@dataclass(frozen=True)
class Claim:
    """What one step, or one batch, takes of the budget, in US dollars.

    `claimed` counts; `spent` of it is in the step's journal, `lost` may have been charged for calls whose answers a
    kill lost. `size`: bytes of the journal that `spent` was derived from, None while a step is at work on it.
    """

    name: str
    simulated: bool
    claimed: float
    spent: float = 0.0
    lost: float = 0.0
    size: int | None = None


class Claims:
    """The file of all claims: a line of JSON for each change, the last one of a name holding."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[bool, str], Claim] = {}
        self._file_read, self._bytes_read = 0, 0

    @contextmanager
    def held(self) -> Iterator["OpenClaims"]:
        """The claims, to read and to write, with every other process waiting. Raises `InputError`."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise InputError(f"{self._path}: the budget's claims cannot be written: {error.strerror}") from error
        try:
            with _locked(file, self._path):
                sync_folder(self._path.parent)
                self._read_on(file)
                yield OpenClaims(self._path, file, self._known)
        finally:
            os.close(file)

    def _read_on(self, file: int) -> None:
        """Read what was added since the last time. A line that a kill left unfinished was never granted, and goes."""
        found = os.fstat(file)
        if found.st_ino != self._file_read or found.st_size < self._bytes_read:
            self._known.clear()
            self._file_read, self._bytes_read = found.st_ino, 0
        content = os.pread(file, found.st_size - self._bytes_read, self._bytes_read)
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(file, self._bytes_read + whole)
        for line in content[:whole].splitlines():
            try:
                claim = Claim(**json.loads(line))
            except (ValueError, TypeError) as error:
                shown = line[:100].decode(errors="replace")
                raise InputError(f"{self._path}: no claim on the budget; remove this line: {shown}") from error
            self._known[claim.simulated, claim.name] = claim
        self._bytes_read += whole


class OpenClaims:
    """The claims while they are locked."""

    def __init__(self, path: Path, file: int, claims: dict[tuple[bool, str], Claim]) -> None:
        self._path, self._file, self._claims = path, file, claims

    def of(self, simulated: bool) -> dict[str, Claim]:
        """The claims of one kind of service, by name."""
        return {name: claim for (kind, name), claim in self._claims.items() if kind == simulated}

    def total(self, simulated: bool, without: str | None = None) -> float:
        """What all claim, but for one, in US dollars."""
        return sum(claim.claimed for name, claim in self.of(simulated).items() if name != without)

    def spent(self, simulated: bool) -> float:
        """What all have spent or lost as far as they have told, in US dollars."""
        return sum(claim.spent + claim.lost for claim in self.of(simulated).values())

    def write(self, claims: Sequence[Claim]) -> None:
        """Put claims on disk, which are not granted before."""
        lines = b"".join(canonical(asdict(claim)).encode() + b"\n" for claim in claims)
        size = os.fstat(self._file).st_size
        try:
            os.write(self._file, lines)
            os.fsync(self._file)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, size)
            raise InputError(f"{self._path}: the budget's claims cannot be written: {error.strerror}") from error
        self._claims.update({(claim.simulated, claim.name): claim for claim in claims})


def read_claims(path: Path) -> list[Claim]:
    """The claims as they stand, without the lock: to look at, not to grant by. What is no claim is passed over."""
    found: dict[tuple[bool, str], Claim] = {}
    with suppress(FileNotFoundError), path.open("rb") as lines:
        for line in lines:
            with suppress(ValueError, TypeError):
                claim = Claim(**json.loads(line))
                found[claim.simulated, claim.name] = claim
    return list(found.values())


@contextmanager
def _locked(file: int, path: Path) -> Iterator[None]:
    """Hold an open file against every other process. A budget cannot be kept where locks do not work."""
    end = time.monotonic() + LOCK_PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= end:
                raise InputError(f"{path}: locked by another process for {LOCK_PATIENCE_SECONDS:g} s") from None
            time.sleep(0.005)
        except OSError as error:
            raise InputError(
                f"{path}: this file system knows no locks (flock: {error.strerror}), which budget_usd needs; "
                "put `state` on another, or set no budget"
            ) from error
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
