"""One holder at a time for a journal or a training folder, over processes and hosts.

Three signs tell whether a holder lives, since none is enough alone: its process, which can be looked up from the
same machine only; a lock on its record (`flock`), which not every shared file system honours between hosts; and its
heartbeat, the time of the record's last change, which takes a minute to be missed. A holder that was killed leaves
its record behind, and the next one takes over.
"""

import fcntl
import json
import os
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from llamaduo.cli.errors import InputError
from llamaduo.storage.files import UMASK

HEARTBEAT_SECONDS = 10.0
STALE_SECONDS = 60.0
"""A holder whose heartbeat is missed for so long is dead: several beats, and the delay with which NFS shows them."""
LARGEST_RECORD = 4096  # bytes
LOCK_PATIENCE_SECONDS = 5.0
"""So long the children of a killed holder, which share its lock, may take to end."""


class LeaseHeld(InputError):  # noqa: N818
    """Another process holds the lease, or has taken it over."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, as its record says. `machine` is one boot of one machine and one space of process numbers."""

    host: str
    machine: str
    pid: int
    started: str
    since: str
    token: str

    @staticmethod
    def this_process() -> "Holder":
        return Holder(
            host=socket.gethostname(),
            machine=_machine(),
            pid=os.getpid(),
            started=_started(os.getpid()) or "",
            since=time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
            token=uuid.uuid4().hex,
        )

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} since {self.since} UTC"


class Lease:
    """A lease that is held."""

    def __init__(self, record: Path, holder: Holder, what: str) -> None:
        self._record, self._holder, self._what = record, holder, what

    def check(self) -> None:
        """Raise `LeaseHeld` when another process took the lease over, as it may after this one stood still."""
        holder = _read(self._record)
        if holder is None or holder.token != self._holder.token:
            raise LeaseHeld(f"{self._what}: taken over by {holder or 'another process'}; this process stops")


def record_of(path: Path) -> Path:
    """The record of the lease on `path`, which stands beside it."""
    return path.with_name(f"{path.name}.lease")


@contextmanager
def lease(path: Path, what: str, heartbeat: float = HEARTBEAT_SECONDS, stale: float = STALE_SECONDS) -> Iterator[Lease]:
    """Hold `path`, a file or folder that need not exist yet, against every other process on every host.

    `what` names it in messages. `heartbeat` and `stale` are seconds. Raises `LeaseHeld`, naming the holder, when
    another process works on it; that takes up to `stale` seconds to find out when the holder is on another host.
    """
    record = record_of(path)
    holder = Holder.this_process()
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        lock = _acquire(record, holder, what, stale)
    except OSError as error:
        raise InputError(f"{what}: cannot write beside it: {record}: {error.strerror}") from error
    released = threading.Event()
    beat = threading.Thread(target=_beat, args=(record, holder, heartbeat, released), daemon=True)
    beat.start()
    try:
        yield Lease(record, holder, what)
    finally:
        released.set()
        beat.join()
        current = _read(record)
        if current is not None and current.token == holder.token:
            record.unlink(missing_ok=True)
        os.close(lock)


def _acquire(record: Path, holder: Holder, what: str, stale: float) -> int:
    """Put `holder`'s record in place, and return the locked file: the lock goes when the process does."""
    handle, name = tempfile.mkstemp(dir=record.parent, prefix=f".{record.name}.", suffix=".part")
    mine = Path(name)
    try:
        # Whoever may remove the record of a dead holder must be able to read it.
        os.fchmod(handle, 0o666 & ~UMASK)
        os.write(handle, json.dumps(asdict(holder)).encode())
        _lock(handle, 0)
        while True:
            try:
                # A link appears whole and fails if there is a record already, on NFS too.
                os.link(mine, record)
            except FileExistsError:
                _clear_dead(record, what, stale)
            else:
                return handle
    except BaseException:
        os.close(handle)
        raise
    finally:
        mine.unlink()


def _clear_dead(record: Path, what: str, stale: float) -> None:
    """Remove a dead holder's record; raise `LeaseHeld` when the holder lives."""
    try:
        handle = os.open(record, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        holder = _holder(os.pread(handle, LARGEST_RECORD, 0))
        same_machine = holder is not None and holder.machine == _machine()
        if same_machine and holder is not None and _started(holder.pid) == holder.started:
            raise LeaseHeld(f"{what}: in use by {holder}")
        locked = _lock(handle, LOCK_PATIENCE_SECONDS if same_machine else 0)
        if not same_machine and (not locked or _beats(record, stale)):
            raise LeaseHeld(f"{what}: in use by {holder or 'another process'}")
        _remove(record, handle)
    finally:
        os.close(handle)


def _remove(record: Path, dead: int) -> None:
    """Remove the record if it still is the dead one, whose open and locked file `dead` is.

    Processes that honour the lock come here one after another. Where it is not honoured, the record is looked at
    again after it was put aside, and put back if it turns out to be that of a quicker process.
    """
    aside = record.with_name(f".{record.name}.{uuid.uuid4().hex}.part")
    with suppress(FileNotFoundError):
        if not os.path.samestat(record.stat(), os.fstat(dead)):
            return
        record.rename(aside)
        if not os.path.samestat(aside.stat(), os.fstat(dead)):
            with suppress(FileExistsError):
                os.link(aside, record)
        aside.unlink()


def _started(pid: int) -> str | None:
    """When a process of this machine started, in the kernel's own units; None when it has ended.

    Linux counts clock ticks from boot, which no change of the clock moves (proc(5), field 22 of stat).
    """
    try:
        if not Path("/proc/self/stat").exists():
            return str(int(psutil.Process(pid).create_time()))
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state in {"Z", "X"} else fields[18]
    except (OSError, psutil.NoSuchProcess):
        return None


def _beats(record: Path, stale: float) -> bool:
    """Whether the record is changed by its holder. Watches it for `stale` seconds by this host's clock only."""
    first = _changed(record)
    end = time.monotonic() + stale
    while time.monotonic() < end:
        time.sleep(min(1.0, stale / 20))
        now = _changed(record)
        if now != first:
            return now is not None
    return False


def _changed(record: Path) -> float | None:
    """When the record was last changed; it is opened, because that makes NFS ask its server."""
    try:
        with record.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None


def _beat(record: Path, holder: Holder, heartbeat: float, released: threading.Event) -> None:
    while not released.wait(heartbeat):
        current = _read(record)
        if current is not None and current.token != holder.token:
            return
        with suppress(OSError):
            os.utime(record)


def _read(record: Path) -> Holder | None:
    try:
        return _holder(record.read_bytes())
    except OSError:
        return None


def _holder(content: bytes) -> Holder | None:
    try:
        return Holder(**json.loads(content))
    except (ValueError, TypeError):
        return None


def _lock(handle: int, patience: float) -> bool:
    """Lock an open file, waiting up to `patience` seconds; False when another process keeps it locked.

    On a file system that knows no locks none is in the way.
    """
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.1)
        except OSError:
            return True
        else:
            return True


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return f"{socket.gethostname()} {uuid.getnode()}"
