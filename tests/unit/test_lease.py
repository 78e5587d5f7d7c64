"""The lease: one holder at a time, over processes and hosts, and an heir for every holder that died."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llamaduo.cli.errors import InputError
from llamaduo.storage.lease import LeaseHeld, lease, record_of

HOLDER = """
import sys, time
from pathlib import Path
from llamaduo.storage.lease import lease

with lease(Path(sys.argv[1]), "the journal"):
    print("held", flush=True)
    time.sleep(600)
"""

CONTENDER = """
import os, sys, time
from pathlib import Path
from llamaduo.storage.lease import LeaseHeld, lease

path = Path(sys.argv[1])
while time.time() < float(sys.argv[2]):
    pass
for _ in range(30):
    try:
        with lease(path, "the counter"):
            inside = path.with_name("inside")
            handle = os.open(inside, os.O_CREAT | os.O_EXCL)
            os.close(handle)
            with path.open("a") as file:
                file.write("x")
            inside.unlink()
    except LeaseHeld:
        time.sleep(0.002)
"""

ENVIRONMENT = os.environ | {"PYTHONPATH": "scripts"}


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def foreign_record(path: Path, **changes: object) -> Path:
    """A record as a holder on another machine leaves it."""
    record = record_of(path)
    holder = {"host": "node7", "machine": "another", "pid": 17, "started": "1", "since": "then", "token": "t"}
    record.write_text(json.dumps(holder | changes))
    return record


def test_a_lease_is_free_again_when_its_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "state" / "folder"

    for _ in range(2):
        with lease(path, "the folder") as held:
            held.check()
            assert record_of(path).exists()

    assert list(path.parent.iterdir()) == []


def test_an_error_in_the_block_frees_it_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), lease(tmp_path / "x", "x"):
        raise RuntimeError
    with lease(tmp_path / "x", "x"):
        pass


def test_a_second_holder_is_turned_away_with_the_name_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"

    with (
        another_process(path) as process,
        pytest.raises(LeaseHeld, match=rf"the journal: in use by process {process.pid} on .* since .* UTC"),
        lease(path, "the journal"),
    ):
        pass


def test_nor_may_the_same_process_hold_it_twice(tmp_path: Path) -> None:
    with lease(tmp_path / "x", "x"), pytest.raises(LeaseHeld), lease(tmp_path / "x", "x"):
        pass


def test_a_killed_holder_is_succeeded_at_once(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with another_process(path):
        pass
    assert record_of(path).exists()

    start = time.monotonic()
    with lease(path, "the journal") as held:
        held.check()

    assert time.monotonic() - start < 1


def test_a_process_number_that_was_given_anew_is_not_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with lease(path, "x"):
        mine = json.loads(record_of(path).read_text())
    record_of(path).write_text(json.dumps(mine | {"started": "12345", "token": "of the dead"}))

    with lease(path, "x") as held:
        held.check()


def test_a_holder_on_another_host_lives_while_its_heart_beats(tmp_path: Path) -> None:
    path = tmp_path / "x"
    record = foreign_record(path)
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.1):
            os.utime(record)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(LeaseHeld, match="in use by process 17 on node7"), lease(path, "x", stale=2):
            pass
    finally:
        stop.set()
        thread.join()


def test_a_holder_on_another_host_whose_heart_stopped_is_succeeded(tmp_path: Path) -> None:
    path = tmp_path / "x"
    foreign_record(path)

    start = time.monotonic()
    with lease(path, "x", stale=0.5) as held:
        held.check()

    assert 0.5 <= time.monotonic() - start < 5


def test_the_heart_beats_while_the_lease_is_held(tmp_path: Path) -> None:
    path = tmp_path / "x"

    with lease(path, "x", heartbeat=0.05):
        first = record_of(path).stat().st_mtime_ns
        time.sleep(0.3)
        assert record_of(path).stat().st_mtime_ns > first


def test_a_record_of_which_nothing_can_be_read_is_waited_for_and_then_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x"
    record_of(path).write_bytes(b"\0\0\0")

    with lease(path, "x", stale=0.2) as held:
        held.check()


def test_a_holder_that_stood_still_and_was_succeeded_learns_of_it_and_leaves_the_heirs_record(tmp_path: Path) -> None:
    path = tmp_path / "x"

    with lease(path, "the folder") as held:
        foreign_record(path)
        with pytest.raises(LeaseHeld, match="the folder: taken over by process 17 on node7"):
            held.check()

    assert json.loads(record_of(path).read_text())["host"] == "node7"


def test_of_many_that_want_it_at_once_one_has_it_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "counter"
    with another_process(path):
        pass  # killed: they begin by succeeding a dead holder
    start = str(time.time() + 1.5)
    command = [sys.executable, "-c", CONTENDER, str(path), start]

    contenders = [subprocess.Popen(command, env=ENVIRONMENT) for _ in range(4)]

    assert [contender.wait() for contender in contenders] == [0, 0, 0, 0]
    assert path.read_text()
    assert not record_of(path).exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(InputError, match=r"the journal: cannot write beside it: .*file"),
        lease(tmp_path / "file" / "journal.jsonl", "the journal"),
    ):
        pass
