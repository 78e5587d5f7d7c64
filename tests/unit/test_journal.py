"""The journal: what counts is on disk, what is torn is repaired, what is broken is said."""

import asyncio
import json
import os
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from llamaduo.cli.errors import InputError, ServiceError
from llamaduo.service.interface import Answer
from llamaduo.service.journal.journal import Entry, open_journal
from llamaduo.storage.lease import LeaseHeld, record_of


def answer(text: str) -> Answer:
    return Answer(text, "stop", 7, 3, "2026-01-31T12:00:00Z")


def append(path: Path, *keys: str) -> None:
    async def all_at_once() -> None:
        await asyncio.gather(*(journal.append(key, {"question": key}, answer(f"answer {key}")) for key in keys))

    with open_journal(path) as journal:
        asyncio.run(all_at_once())


def held(path: Path, key: str) -> Answer | None:
    with open_journal(path) as journal:
        return journal.get(key)


def test_what_was_appended_is_there_when_the_journal_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "state" / "journal" / "j.jsonl"

    append(path, "a", "b")
    append(path, "c")

    assert held(path, "a") == answer("answer a")
    assert held(path, "c") == answer("answer c")
    assert held(path, "d") is None
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "b", "c"]


def test_any_text_survives(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    text = 'line\nbreak \u2028 "quoted" \\ tab\t 好 \U0001f600 \x00'

    async def once() -> None:
        await journal.append("k", {}, answer(text))

    with open_journal(path) as journal:
        asyncio.run(once())

    assert held(path, "k") == answer(text)


def test_answers_that_arrive_together_wait_for_the_disk_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    sync = os.fsync

    def sync_and_count(handle: int) -> None:
        synced.append(handle)
        sync(handle)

    monkeypatch.setattr(os, "fsync", sync_and_count)

    append(tmp_path / "j.jsonl", *(f"k{i}" for i in range(100)))

    assert len((tmp_path / "j.jsonl").read_text().splitlines()) == 100
    assert len(synced) < 10


@pytest.mark.parametrize("share", [0.01, 0.3, 0.99])
def test_a_torn_last_line_is_removed(share: float, tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    append(path, "a", "b")
    whole = path.read_bytes()
    line = whole.splitlines(keepends=True)[1]
    path.write_bytes(whole + line[: max(1, int(share * (len(line) - 2)))])

    append(path, "c")

    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "b", "c"]


def test_a_tail_of_zero_bytes_as_a_power_loss_leaves_it_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    append(path, "a")
    path.write_bytes(path.read_bytes() + bytes(100))

    append(path, "b")

    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "b"]


def test_a_last_line_that_lacks_its_line_break_only_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    append(path, "a", "b")
    path.write_bytes(path.read_bytes().rstrip(b"\n"))

    append(path, "c")

    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "b", "c"]


@pytest.mark.parametrize("broken", ["{", "null", '{"key": "x"}', '{"key": "x", "answer": {"words": 1}}'])
def test_a_broken_line_before_the_last_is_named(broken: str, tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    append(path, "a", "b")
    first, second = path.read_text().splitlines()
    path.write_text(f"{first}\n{broken}\n{second}\n")

    with pytest.raises(InputError, match=r"j\.jsonl: line 2"):
        held(path, "a")


def test_a_journal_that_cannot_be_written_fails_the_call_and_keeps_the_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    append(path, "a")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def too_much() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, limits[1]))
        try:
            await journal.append("b", {}, answer("long " * 1000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    with open_journal(path) as journal, pytest.raises(ServiceError, match=r"j\.jsonl: cannot be written"):
        asyncio.run(too_much())

    assert held(path, "a") == answer("answer a")
    assert path.read_bytes().endswith(b"}\n")


def test_answers_appended_together_are_one_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "j.jsonl"
    written = []
    write = os.write

    def write_and_keep(handle: int, lines: bytes) -> int:
        written.append(bytes(lines))
        return write(handle, lines)

    monkeypatch.setattr(os, "write", write_and_keep)

    async def once() -> None:
        await journal.append_all([Entry(key, "{}", answer(key)) for key in "abc"])
        assert [journal.get(key) for key in "abcd"] == [answer("a"), answer("b"), answer("c"), None]

    with open_journal(path) as journal:
        written.clear()
        asyncio.run(once())

    assert written == [path.read_bytes()]


def test_of_two_answers_under_one_key_the_later_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    append(path, "a", "b")
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0].replace(b"answer a", b"later"))

    assert held(path, "a") == answer("later")


def test_texts_stay_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    line = '{{"answer":{},"key":"{}","request":{{}}}}\n'
    content = json.dumps(vars(answer("x" * 10_000)))
    path.write_text("".join(line.format(content, number) for number in range(2000)))

    tracemalloc.start()
    with open_journal(path) as journal:
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert journal.get("1999") == answer("x" * 10_000)

    assert used < 2_000_000, "20 MB of answers"


def test_a_writer_stops_when_another_process_wrote(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"

    async def once() -> None:
        await journal.append("a", {}, answer("fine"))
        with path.open("ab") as other:
            other.write(b"{}\n")
        with pytest.raises(ServiceError, match="changed by another process"):
            await journal.append("b", {}, answer("late"))

    with open_journal(path) as journal:
        asyncio.run(once())

    assert path.read_bytes().endswith(b"{}\n")


def test_a_second_writer_is_turned_away(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"

    with open_journal(path), pytest.raises(LeaseHeld, match=rf"journal .*j\.jsonl: in use by process {os.getpid()}"):
        held(path, "a")


def test_a_writer_whose_lease_was_taken_over_writes_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"

    async def once() -> None:
        await journal.append("a", {}, answer("late"))

    with open_journal(path) as journal:
        record_of(path).unlink()
        with pytest.raises(LeaseHeld, match="taken over"):
            asyncio.run(once())

    assert path.read_bytes() == b""


WRITER = """
import asyncio, sys
from pathlib import Path
from llamaduo.service.interface import Answer
from llamaduo.service.journal.journal import open_journal

async def write(journal):
    for number in range(100000):
        await journal.append(f"k{number}", {}, Answer("x" * 3000, "stop", 1, 1, ""))
        print(number, flush=True)

with open_journal(Path(sys.argv[1])) as journal:
    asyncio.run(write(journal))
"""


def test_whatever_counted_before_a_kill_is_in_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": "scripts"}, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        counted = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()
        counted += [int(line) for line in writer.stdout.read().splitlines()]

    with open_journal(path) as journal:
        assert all(journal.get(f"k{number}") is not None for number in counted)
