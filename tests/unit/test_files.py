"""Files and folders that are whole or absent, on disk too."""

import os
from pathlib import Path

import pytest

from llamaduo.storage.files import atomic_folder, write_json, write_text


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, bool]]:
    """What was put on disk, by its path at the time, and whether `final` was there by then."""
    found: list[tuple[Path, bool]] = []
    sync = os.fsync

    def watched(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        found.append((path, (path / "final").exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    return found


def test_a_file_is_on_disk_before_it_has_its_name_and_the_name_after(
    tmp_path: Path, synced: list[tuple[Path, bool]]
) -> None:
    write_text(tmp_path / "final", "text")

    (content, _), (folder, named) = synced
    assert content.parent == folder == tmp_path
    assert content.name != "final"
    assert named


def test_a_folders_files_are_on_disk_before_it_has_its_name_and_the_name_after(
    tmp_path: Path, synced: list[tuple[Path, bool]]
) -> None:
    with atomic_folder(tmp_path / "final") as folder:
        (folder / "weights").write_bytes(b"1")
        (folder / "inner").mkdir()
        (folder / "inner" / "facts").write_bytes(b"2")

    *before, last = synced
    assert {path.relative_to(folder).as_posix() for path, _ in before} == {"weights", "inner/facts", "inner", "."}
    assert last == (tmp_path, True)


def test_a_block_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    write_json(tmp_path / "final" / "a.json", 1)

    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "final") as folder:
        (folder / "b.json").touch()
        raise RuntimeError

    assert [path.name for path in (tmp_path / "final").iterdir()] == ["a.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
