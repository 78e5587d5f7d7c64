"""Files that only grow: what was appended is there, what a kill cut off is removed or completed."""

import json
import os
import resource
from pathlib import Path

import pytest

from llamaduo.storage.append_log import BLOCK_BYTES, AppendLog, append_json, read_json_lines, read_lines

WHOLE = b'{"number": 1}\n{"number": 2}\n'


def mended(path: Path) -> bytes:
    with AppendLog(path) as log:
        log.mend()
    return path.read_bytes()


@pytest.mark.parametrize("rest", [b"{", b'{"number": 3', b"\0" * 100, b'{"text": "' + b"x" * 3 * BLOCK_BYTES])
def test_an_unfinished_last_line_is_removed(rest: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log"
    for before in (b"", WHOLE):
        path.write_bytes(before + rest)
        assert mended(path) == before


@pytest.mark.parametrize("length", [1, BLOCK_BYTES, 3 * BLOCK_BYTES])
def test_a_last_line_that_lacks_its_line_break_only_is_kept(length: int, tmp_path: Path) -> None:
    path, line = tmp_path / "log", json.dumps({"text": "x" * length}).encode()
    for before in (b"", WHOLE):
        path.write_bytes(before + line)
        assert mended(path) == before + line + b"\n"


@pytest.mark.parametrize("content", [b"", WHOLE])
def test_a_whole_file_stays_as_it_is(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "new" / "log"
    if content:
        path.parent.mkdir()
        path.write_bytes(content)

    assert mended(path) == content


def test_lines_that_do_not_fit_are_not_there_at_all(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(WHOLE)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    with AppendLog(path) as log, pytest.raises(OSError, match="too large"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(WHOLE) + 10, limits[1]))
        try:
            log.append(b"x" * 1000 + b"\n")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert path.read_bytes() == WHOLE


def test_without_a_lock_a_line_goes_below_an_unfinished_one_and_readers_skip_that(tmp_path: Path) -> None:
    path = tmp_path / "notes" / "log"
    append_json(path, {"number": 1})
    with path.open("ab") as file:
        file.write(b'{"number": 2, "te\xff')
    append_json(path, {"number": 3})
    append_json(path, {"number": 4})

    assert list(read_json_lines(path)) == [{"number": 1}, {"number": 3}, {"number": 4}]
    assert path.read_bytes().count(b"\n") == 4
    assert list(read_json_lines(tmp_path / "none")) == []


def test_lines_are_read_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(WHOLE + b"rest")

    found = list(read_lines(path))

    assert [(line.number, line.ends) for line in found] == [(1, True), (2, True), (3, False)]
    assert all((WHOLE + b"rest")[line.offset :].startswith(line.text) for line in found)
    with AppendLog(path) as log:
        assert [list(read_lines(log.handle)) for _ in range(2)] == [found, found]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664)])
def test_the_umask_decides_who_may_append(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        append_json(tmp_path / "log", {})
    finally:
        os.umask(before)

    assert (tmp_path / "log").stat().st_mode & 0o777 == mode
