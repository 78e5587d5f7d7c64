"""Digests of what the user provides: the coverage dataset, weights and adapters in folders, chat templates.

Steps are compared by these digests, not by paths and times: data that was replaced by older files is seen, and files
that were moved, copied or touched rerun nothing. What lies on the Hub is identified by its name and revision.
"""

import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from llamaduo.cli.errors import InputError
from llamaduo.config.coverage import CoverageSettings
from llamaduo.config.models import ModelSettings
from llamaduo.coverage.source import DEFAULT_TEST_SPLIT, is_on_hub, split_files
from llamaduo.models.hub import is_wanted
from llamaduo.storage.canonical import digest, digest_file
from llamaduo.storage.files import read_json, write_json

MISSING = "missing"
"""In place of a digest of what is not there or cannot be read. The step is planned then, and the check before the first
job says what is wrong."""
READERS = 4
"""Files that are read at once: one core hashes about 0.5 to 2 GB per second."""
GIGABYTE = 1_000_000_000


class Digests:
    """The SHA-256 of files, remembered in a file, so that each start does not read all weights again.

    A file is read again when its path, size, inode, or the time of a change of its content or of its inode differs.
    """

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._known: dict[str, list[Any]] = {}
        with suppress(OSError, ValueError, AttributeError):
            self._known = dict(read_json(memory).items())

    def of_files(self, files: Iterable[Path]) -> dict[Path, str]:
        """The digests of files."""
        marks = {file: _mark(file) for file in files}
        unknown = [file for file, mark in marks.items() if self._known.get(str(file.absolute()), [None])[:-1] != mark]
        if unknown:
            size = sum(marks[file][0] for file in unknown)
            if size > GIGABYTE:
                print(f"reading {size / GIGABYTE:.1f} GB, once: {unknown[0].parent}", file=sys.stderr, flush=True)
            with ThreadPoolExecutor(READERS) as pool:
                found = zip(unknown, pool.map(digest_file, unknown), strict=True)
            self._known |= {str(file.absolute()): [*marks[file], made] for file, made in found}
            # A folder that is not there yet, as in a dry-run, or cannot be written to, costs time at the next start.
            if self._memory.parent.is_dir():
                with suppress(OSError):
                    write_json(self._memory, self._known)
        return {file: self._known[str(file.absolute())][-1] for file in marks}


def coverage_identity(settings: CoverageSettings, digests: Digests) -> str:
    """What the source of the coverage dataset holds: a digest of its split files, or its name on the Hub."""
    source = Path(settings.source).expanduser()
    if is_on_hub(settings.source):
        return settings.source
    if source.is_dir():
        splits = (settings.train_split, settings.test_split or DEFAULT_TEST_SPLIT)
        try:
            named = {file.name: file for split in splits for file in split_files(source, split)}
        except InputError:
            return MISSING
    else:
        named = {f"{settings.train_split}{source.suffix.lower()}": source} if source.is_file() else {}
    return _digest(named, digests)


def model_identity(model: ModelSettings, digests: Digests) -> dict[str, Any]:
    """What decides a model's weights, tokenizer and chat format: digests of what is on this machine, and settings."""
    template = model.chat_template
    return {
        **model.model_dump(mode="json", exclude={"path", "base", "chat_template", "generation"}),
        "path": _folder_identity(model.path, digests),
        "base": _folder_identity(model.base, digests) if model.base else None,
        "chat_template": _digest({"": template} if template.is_file() else {}, digests) if template else None,
    }


def _folder_identity(path: str, digests: Digests) -> str:
    """The digest of the files in a folder that a model is made of, or its id on the Hub."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        return path
    files = [file for file in folder.iterdir() if file.is_file() and is_wanted(file.name, "model")]
    return _digest({file.name: file for file in files}, digests)


def _digest(named: dict[str, Path], digests: Digests) -> str:
    if not named:
        return MISSING
    try:
        found = digests.of_files(named.values())
    except OSError:
        return MISSING
    return digest({name: found[file] for name, file in named.items()}, length=32)


def _mark(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]
