"""The Hugging Face Hub: what a repository holds, its files in the local cache, and what is in the way when it fails.

Of a model only safetensors, settings and the tokenizer are ever downloaded: no pickle, no code.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from llamaduo.cli.errors import InputError, ServiceError
from llamaduo.storage.files import read_json

FILES = {
    "model": ("*.json", "*.safetensors", "*.model", "*.jinja", "merges.txt", "vocab.txt"),
    "dataset": ("*.parquet", "*.jsonl", "*.json", "*.csv", "README.md"),
}
LEFT_OUT = {
    # The same weights a second time in other layouts, and what belongs to other libraries.
    "model": ("consolidated*", "*/*"),
    "dataset": (),
}
HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
COMMIT = re.compile("[0-9a-f]{40}")
PREFETCH = "run `snakemake prefetch` with the same config on a machine with network access and the same cache"


@dataclass(frozen=True)
class Repository:
    """A model or dataset on the Hub. revision: commit, tag or branch; None: its main branch."""

    name: str
    revision: str | None = None
    kind: Literal["model", "dataset"] = "model"

    def __str__(self) -> str:
        return self.name if self.revision is None else f"{self.name} at {self.revision}"


@dataclass(frozen=True)
class Contents:
    """What a repository holds at a commit: the files that would be downloaded, with sizes in bytes."""

    repository: Repository
    commit: str
    files: dict[str, int]


def is_hub_id(path: str) -> bool:
    """Whether a path that is no folder may be an id on the Hub: `owner/name`, or for its oldest models `name`."""
    return bool(HUB_ID.fullmatch(path)) and not path.startswith(".")


def cached(repository: Repository) -> Path | None:
    """The folder of a repository's whole snapshot in the local cache, without network; None when it is not there."""
    from huggingface_hub import get_cached_repo_tree, snapshot_download
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, HFValidationError, LocalEntryNotFoundError

    name, kind, revision = repository.name, repository.kind, repository.revision
    try:
        folder = Path(
            snapshot_download(
                name,
                repo_type=kind,
                revision=revision,
                allow_patterns=list(FILES[kind]),
                ignore_patterns=list(LEFT_OUT[kind]),
                local_files_only=True,
            )
        )
    except (LocalEntryNotFoundError, HFValidationError):
        return None
    try:
        get_cached_repo_tree(name, repo_type=kind, revision=revision)
    except CachedRepoTreeNotFoundError:
        # Fetched by something else, perhaps in part: what a model must have can be told.
        return folder if kind == "model" and _has_weights(folder) else None
    return folder


def settled(repository: Repository) -> Path | None:
    """The cached folder of what cannot have changed since: a commit, or anything when the Hub must not be asked."""
    from huggingface_hub.constants import HF_HUB_OFFLINE

    is_fixed = HF_HUB_OFFLINE or COMMIT.fullmatch(repository.revision or "")
    return cached(repository) if is_fixed else None


def snapshot(repository: Repository) -> Path:
    """The folder of a repository's files, downloaded when they are not in the cache.

    A commit that is in the cache is taken from there without a look at the network. Raises `InputError` when it cannot
    be had, saying what is in the way.
    """
    from huggingface_hub import snapshot_download

    if folder := settled(repository):
        return folder
    with explained(repository):
        return Path(
            snapshot_download(
                repository.name,
                repo_type=repository.kind,
                revision=repository.revision,
                allow_patterns=list(FILES[repository.kind]),
                ignore_patterns=list(LEFT_OUT[repository.kind]),
            )
        )


def contents(repository: Repository) -> Contents:
    """Ask the Hub what a repository holds, and whether it may be downloaded.

    Raises `InputError` when it is gated, absent or out of reach, and for a model without safetensors.
    """
    from huggingface_hub import HfApi

    with explained(repository):
        api = HfApi()
        info: Any = api.repo_info(
            repository.name, repo_type=repository.kind, revision=repository.revision, files_metadata=True
        )
        if info.gated:
            api.auth_check(repository.name, repo_type=repository.kind)
    sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or []}
    wanted = {name: size for name, size in sizes.items() if is_wanted(name, repository.kind)}
    if repository.kind == "model" and not any(name.endswith(".safetensors") for name in wanted):
        found = [name for name in sizes if name.endswith((".bin", ".pt", ".pth", ".gguf", ".h5"))]
        raise InputError(
            f"{repository}: no weights in safetensors (found: {', '.join(found) or 'no weights'}); pickled weights are "
            "not loaded: name a repository or revision that has safetensors"
        )
    return Contents(repository, info.sha, wanted)


def missing_bytes(found: Contents) -> int:
    """Bytes of a repository's files that are not in the cache yet."""
    from huggingface_hub import try_to_load_from_cache

    repository = found.repository
    return sum(
        size
        for name, size in found.files.items()
        if not isinstance(
            try_to_load_from_cache(repository.name, name, revision=found.commit, repo_type=repository.kind), str
        )
    )


def cache_folder() -> Path:
    """The folder of the Hub's cache: HF_HUB_CACHE, or `hub` in HF_HOME."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE).expanduser()


def free_bytes(folder: Path) -> int:
    """Bytes free on the disk of a folder, which need not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def is_wanted(name: str, kind: Literal["model", "dataset"]) -> bool:
    """Whether a file of a repository is used, by its name."""
    return any(fnmatch(name, one) for one in FILES[kind]) and not any(fnmatch(name, one) for one in LEFT_OUT[kind])


def _has_weights(folder: Path) -> bool:
    """Whether settings and all parts of the weights are in a folder."""
    settings = any((folder / name).is_file() for name in ("config.json", "adapter_config.json"))
    indices = [read_json(index)["weight_map"] for index in folder.glob("*.safetensors.index.json")]
    parts = {name for index in indices for name in index.values()}
    whole = all((folder / name).is_file() for name in parts) if parts else any(folder.glob("*.safetensors"))
    return settings and whole


@contextmanager
def explained(repository: Repository) -> Iterator[None]:
    """Turn what the Hub's client raises into an `InputError` that says what the user can do about it.

    `ServiceError` where nothing can be done but wait.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    kind, name = repository.kind, repository.name
    try:
        yield
    except GatedRepoError as error:
        state = "the token has no access to it" if get_token() else "no token is set"
        raise InputError(
            f"{name}: a gated {kind}, and {state}: accept its terms on its page on the Hub, and set HF_TOKEN "
            "to a token of that account"
        ) from error
    except RevisionNotFoundError as error:
        raise InputError(f"{name}: no revision {repository.revision!r} on the Hub") from error
    except RepositoryNotFoundError as error:
        hint = "" if get_token() else "; for a private one set HF_TOKEN"
        raise InputError(f"{name}: no such folder here, and no such {kind} on the Hub{hint}") from error
    except HFValidationError as error:
        raise InputError(f"{name}: no such folder here, and no id on the Hub: {_first_line(error)}") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise InputError(_out_of_reach(repository, error)) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            state = "refuses the token in HF_TOKEN" if get_token() else "wants a token: set HF_TOKEN"
            raise InputError(f"{name}: the Hub {state} (status {status})") from error
        raise ServiceError(f"{name}: the Hub answered {_first_line(error)}; try again later") from error
    except OSError as error:
        raise InputError(_out_of_reach(repository, error)) from error
    except Exception as error:
        if not type(error).__module__.startswith("httpx"):
            raise
        raise InputError(_out_of_reach(repository, error)) from error


def _out_of_reach(repository: Repository, error: BaseException) -> str:
    from huggingface_hub.constants import HF_HUB_OFFLINE

    reason = "HF_HUB_OFFLINE is set" if HF_HUB_OFFLINE else f"it cannot be reached ({_cause(error)})"
    text = f"{repository.name}: no such folder here"
    if "/" not in repository.name:
        text += f" ({Path(repository.name).absolute()}; if a folder was meant, check the spelling)"
    return f"{text}, not in the Hub's cache ({cache_folder()}), and as to the Hub itself, {reason}: {PREFETCH}"


def _cause(error: BaseException) -> str:
    """What is at the bottom of an error of the Hub's client, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
