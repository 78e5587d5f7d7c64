"""What curation remembers of a pool: its decisions and indexes, so that a larger pool goes on from a smaller one.

One file per pool, named after a hash of all that its decisions depend on: settings, code, train and test split, and the
input files in their order. A pool is found again by its first files, so what another order or another setting gave
is never mistaken for it. Nothing is lost with a file but time: without it the same is computed again.
"""

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from llamaduo.storage.canonical import digest, digest_file
from llamaduo.storage.files import atomic_path

Arrays = dict[str, NDArray[Any]]

SUFFIX = ".safetensors"


class Remembered:
    """The pools remembered in a folder, as seen from one curation of `inputs`."""

    def __init__(self, folder: Path, rests_on: Mapping[str, Any], inputs: Sequence[Path]) -> None:
        """`rests_on`: whatever else than the inputs decisions depend on, as plain values."""
        self._folder = folder
        self._base = digest(dict(rests_on))
        names = [digest_file(path) for path in inputs]
        # Per number of first files, from 1, the name of the pool curated from them.
        self._names = [
            f"{self._base}-{digest([self._base, *names[:count]])}{SUFFIX}" for count in range(1, len(names) + 1)
        ]

    def longest(self) -> tuple[int, Arrays] | None:
        """How many of the first inputs the largest pool remembered was curated from, and what is known of it."""
        for count in range(len(self._names), 0, -1):
            path = self._folder / self._names[count - 1]
            try:
                # Copies: what is read may stand in memory that must not be written.
                return count, {name: array.copy() for name, array in load_file(path).items()}
            except FileNotFoundError:
                continue
            except (OSError, SafetensorError) as error:
                print(f"curate: {path} cannot be read ({error}); starting anew", file=sys.stderr, flush=True)
        return None

    def keep(self, state: Arrays) -> None:
        """Remember the pool of all inputs, and forget those that it makes useless: its beginnings and outdated ones."""
        with atomic_path(self._folder / self._names[-1]) as temporary:
            save_file({name: array.copy() for name, array in state.items()}, temporary)
        others = [path for path in self._folder.glob(f"*{SUFFIX}") if not path.name.startswith(f"{self._base}-")]
        for path in [*others, *(self._folder / name for name in self._names[:-1])]:
            with suppress(FileNotFoundError):
                path.unlink()
