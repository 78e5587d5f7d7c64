"""Finding the coverage dataset: a folder with split files, one file, or a dataset of the Hugging Face Hub."""

import re
from dataclasses import dataclass
from pathlib import Path

from llamaduo.cli.errors import InputError
from llamaduo.config.coverage import CoverageSettings
from llamaduo.coverage.rows import READERS, SourceRow, read_file

DEFAULT_TEST_SPLIT = "test"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Source:
    """The rows of the coverage dataset; `test` is None when the source has no split of its own."""

    name: str
    train: list[SourceRow]
    test: list[SourceRow] | None


def read_source(settings: CoverageSettings) -> Source:
    """The rows that `settings.source` names, in its given splits where it has them.

    A path that exists is read from disk; anything else that looks like `owner/name` is asked of the Hub.
    Raises `InputError` when there is nothing of that name, a split is missing or empty, or a file is not what its
    name says.
    """
    path = Path(settings.source).expanduser()
    if path.is_dir():
        splits = _read_folder(path, settings)
    elif path.exists():
        splits = {settings.train_split: read_file(path)}
        if settings.test_split is not None:
            raise InputError(f"{path}: one file has no split {settings.test_split!r}; leave coverage.test_split out")
    elif is_on_hub(settings.source):
        from llamaduo.coverage.hub import read_hub

        splits = read_hub(settings)
    else:
        raise InputError(f"{path}: no such file or folder (coverage.source)")
    return _checked(settings, splits)


def is_on_hub(source: str) -> bool:
    """Whether a source is taken for a dataset of the Hub: nothing of that name is here, and it may be an id."""
    path = Path(source).expanduser()
    return not path.exists() and bool(HUB_ID.fullmatch(source)) and path.suffix.lower() not in READERS


def _checked(settings: CoverageSettings, splits: dict[str, list[SourceRow]]) -> Source:
    train = splits.get(settings.train_split)
    if train is None:
        raise InputError(f"{settings.source}: no split {settings.train_split!r}; there are: {', '.join(splits)}")
    test = splits.get(settings.test_split or DEFAULT_TEST_SPLIT)
    if test is None and settings.test_split is not None:
        raise InputError(f"{settings.source}: no split {settings.test_split!r}; there are: {', '.join(splits)}")
    if not train:
        raise InputError(f"{settings.source}: the train split is empty")
    if test is not None and not test:
        raise InputError(
            f"{settings.source}: the test split is empty; give it rows, or remove it to have "
            "a share of the train split used (coverage.test_ratio)"
        )
    return Source(settings.source, train, test)


def _read_folder(folder: Path, settings: CoverageSettings) -> dict[str, list[SourceRow]]:
    splits = {}
    for name in (settings.train_split, settings.test_split or DEFAULT_TEST_SPLIT):
        files = split_files(folder, name)
        if files:
            splits[name] = [row for file in files for row in read_file(file)]
        elif name == settings.train_split or settings.test_split is not None:
            found = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
            endings = ", ".join(name + ending for ending in READERS)
            raise InputError(
                f"{folder}: no file of the split {name!r} ({endings}); found: {', '.join(found) or 'nothing'}"
            )
    return splits


def split_files(folder: Path, split: str) -> list[Path]:
    """The files of a split: `train.parquet` and the like, or its numbered shards as the Hub stores them."""
    shard = re.compile(re.escape(split) + r"-\d+-of-\d+(-[0-9a-f]+)?")
    for place in (folder, folder / "data"):
        files = sorted(place.glob("*")) if place.is_dir() else []
        readable = [file for file in files if file.is_file() and file.suffix.lower() in READERS]
        whole = [file for file in readable if file.stem == split]
        if len(whole) > 1:
            raise InputError(f"{place}: more than one file of the split {split!r}: {', '.join(f.name for f in whole)}")
        found = whole or [file for file in readable if shard.fullmatch(file.stem)]
        if found:
            return found
    return []
