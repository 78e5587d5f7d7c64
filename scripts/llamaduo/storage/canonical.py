"""One spelling per value, and hashes made from it: what keys of journals, states and params rest on."""

import hashlib
import json
from pathlib import Path
from typing import Any


def canonical(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces; equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any, length: int = 16) -> str:
    """The first `length` hexadecimal digits of the SHA-256 of the canonical spelling of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:length]


def digest_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_folder(path: Path, pattern: str = "*") -> str:
    """The SHA-256 over names and contents of a folder's files that match `pattern`, in hexadecimal."""
    files = sorted(file for file in path.rglob(pattern) if file.is_file())
    return digest({str(file.relative_to(path)): digest_file(file) for file in files}, length=64)
