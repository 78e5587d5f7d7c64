"""Fetch what a config needs from the Hub, so that its jobs run on nodes without network."""

import threading
from collections.abc import Sequence
from pathlib import Path

from llamaduo.cli.errors import InputError
from llamaduo.cli.progress import Progress
from llamaduo.config.root import Config
from llamaduo.coverage.source import is_on_hub
from llamaduo.models.hub import (
    COMMIT,
    Contents,
    Repository,
    cache_folder,
    contents,
    free_bytes,
    missing_bytes,
    snapshot,
)
from llamaduo.storage.files import write_json

MEGABYTE = 1_000_000
SPARE_BYTES = 1_000 * MEGABYTE
"""What a download leaves free on the disk."""
SECONDS_BETWEEN_LOOKS = 1.0


def repositories(config: Config) -> dict[str, Repository]:
    """The repositories on the Hub that a config names, by the config's key; folders on this machine are left out."""
    found: dict[str, Repository] = {}
    for name, model in config.models.items():
        if not Path(model.path).expanduser().is_dir():
            found[f"models.{name}.path"] = Repository(model.path, model.revision)
        if model.base is not None and not Path(model.base).expanduser().is_dir():
            found[f"models.{name}.base"] = Repository(model.base, model.base_revision)
    if is_on_hub(config.coverage.source):
        found["coverage.source"] = Repository(config.coverage.source, config.coverage.revision, "dataset")
    return found


def prefetch(config: Config, record: Path) -> list[str]:
    """Download what is missing, and write which commits are here into `record`.

    Gives lines for the user: what is there, and what to write into the config to pin what it leaves open. Raises
    `InputError`, before anything is downloaded, for what cannot be had and when the disk is too small.
    """
    named = repositories(config)
    found: dict[Repository, Contents] = {}
    for key, repository in named.items():
        try:
            found.setdefault(repository, contents(repository))
        except InputError as error:
            raise InputError(f"{key}: {error}") from error
    check_disk(list(found.values()))
    for one in found.values():
        download(one)
    write_json(record, [describe(one) for one in found.values()])
    return [line for key, repository in named.items() for line in report(key, found[repository])]


def check_disk(found: Sequence[Contents]) -> None:
    """Raise `InputError` when what is missing does not fit on the cache's disk."""
    needed, folder = sum(missing_bytes(one) for one in found), cache_folder()
    free = free_bytes(folder)
    if needed and needed + SPARE_BYTES > free:
        largest = max(found, key=missing_bytes)
        raise InputError(
            f"{folder}: {needed / 1e9:.1f} GB are to be downloaded (the largest: {largest.repository.name}, "
            f"{missing_bytes(largest) / 1e9:.1f} GB), and {free / 1e9:.1f} GB are free: make room, or set HF_HOME to a "
            "folder on a larger disk, for the jobs as well"
        )


def download(found: Contents) -> Path:
    """The folder with a repository's files; lines on standard error say how far it is."""
    repository = found.repository
    total, before = sum(found.files.values()), sum(found.files.values()) - missing_bytes(found)
    with Progress(f"fetch {repository.name}", _megabytes(total), "MB", done=_megabytes(before)) as progress:
        finished = threading.Event()
        watch = threading.Thread(target=_watch, args=(found, progress, finished), daemon=True)
        watch.start()
        try:
            return snapshot(repository)
        finally:
            finished.set()
            watch.join()
            progress.advance(_megabytes(total - missing_bytes(found)) - progress.done)


def _watch(found: Contents, progress: Progress, finished: threading.Event) -> None:
    """Count the bytes that have arrived: whole files, and the files in the making beside them."""
    folder = cache_folder() / f"{found.repository.kind}s--{found.repository.name.replace('/', '--')}" / "blobs"
    total = sum(found.files.values())
    while not finished.wait(SECONDS_BETWEEN_LOOKS):
        arriving = sum(file.stat().st_size for file in folder.glob("*.incomplete") if file.is_file())
        here = min(total, total - missing_bytes(found) + arriving)
        progress.advance(max(0, _megabytes(here) - progress.done))


def describe(found: Contents) -> dict[str, object]:
    """A line of the record: the repository as the config names it, and the commit that is here."""
    repository = found.repository
    return {
        "repository": repository.name,
        "kind": repository.kind,
        "revision": repository.revision,
        "commit": found.commit,
        "bytes": sum(found.files.values()),
        "cache": str(cache_folder().absolute()),
    }


def report(key: str, found: Contents) -> list[str]:
    """What a user is told about one repository."""
    size = sum(found.files.values()) / 1e9
    lines = [f"{key}: {found.repository.name} is here: commit {found.commit}, {size:.2f} GB"]
    if not COMMIT.fullmatch(found.repository.revision or ""):
        place = key.removesuffix(".path").removesuffix(".source")
        setting = f"{place}_revision" if place.endswith(".base") else f"{place}.revision"
        lines.append(f"  it may change under this config; to pin it: {setting}: {found.commit}")
    return lines


def is_prefetched(config: Config, record: Sequence[dict[str, object]]) -> bool:
    """Whether a record of `prefetch` has all that a config needs, so that its jobs need no network for it."""
    there = {(one["repository"], one["kind"], one["revision"]) for one in record}
    named = repositories(config).values()
    return bool(named) and all((one.name, one.kind, one.revision) in there for one in named)


def _megabytes(size: int) -> int:
    return size // MEGABYTE


def cache_of(record: Sequence[dict[str, object]]) -> str:
    """The folder of the Hub's cache that a record of `prefetch` is about; empty when it does not say."""
    return str(record[0].get("cache", "")) if record else ""
