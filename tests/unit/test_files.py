"""Files and folders that are whole or absent, on disk too."""

import os
import subprocess
import sys
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


GROUP_UMASK = 0o002
WRITE = """
import sys
from pathlib import Path
from llamaduo.storage.files import atomic_folder, write_text
from llamaduo.storage.lease import lease
group = Path(sys.argv[1])
with lease(group / "held", "the folder"):
    write_text(group / "table", "text")
    with atomic_folder(group / "adapter") as folder:
        (folder / "weights").write_text("1")
    print(*sorted(f"{path.name}:{path.stat().st_mode & 0o7777:o}" for path in group.rglob("*")))
"""


def test_in_a_groups_folder_another_member_can_go_on(tmp_path: Path) -> None:
    """With umask 002 and a set-group-ID folder, as sites set them up for groups."""
    group = tmp_path / "group"
    group.mkdir()
    group.chmod(0o2775)

    done = subprocess.run(
        [sys.executable, "-c", WRITE, group],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2] / "scripts")},
        umask=GROUP_UMASK,
        capture_output=True,
        text=True,
        check=True,
    )

    modes = dict(word.split(":") for word in done.stdout.split())
    assert modes.pop("adapter") == "2775"
    assert set(modes.values()) == {"664"}, modes
