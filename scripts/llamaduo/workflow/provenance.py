"""What made the results, beside them, in files that no rule reads.

Every start adds a line: when, where and with what. And what Snakemake recorded of each output (params, code, inputs) is
mirrored, with the state of the output, so that results keep it when they are moved, copied or seen from another clone.
"""

import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llamaduo.storage.append_log import append_json
from llamaduo.storage.canonical import digest
from llamaduo.storage.files import read_json, write_text
from llamaduo.workflow.layout import Results

PACKAGES: tuple[str, ...] = (
    "snakemake",
    "torch",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "datasets",
    "openai",
    "anthropic",
)
PACKAGES += ("google-genai", "datasketch", "rouge-score")


def record_start(path: Path, config: str) -> None:
    """Append one line: the time (UTC), host, config, commit of the workflow, and versions of what computes."""
    start = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "config": config,
        "commit": commit(Path(__file__).parent),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }
    append_json(path, start)


def commit(folder: Path) -> str | None:
    """The commit of the git checkout that holds `folder`, marked when files were changed since; None outside of one."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no outside words
    except FileNotFoundError:
        return None
    return described.stdout.strip() or None


WHOLE_BYTES = 4_000_000
"""A larger file, as of weights, is told from another by its size and by samples: a training changes all of it."""
SAMPLES, SAMPLE_BYTES = 32, 65_536
TIMESTAMP = ".snakemake_timestamp"
"""The file whose time Snakemake takes for that of a folder."""
PLACE = "<results>/"


@dataclass(frozen=True)
class State:
    """What an output looks like: bytes, the latest time of a change (ns), and a digest of its content."""

    size: int
    changed: int
    digest: str


@dataclass(frozen=True)
class Made:
    """One output: what Snakemake recorded of it, with paths as they are in any results folder, and its state then."""

    record: dict[str, Any]
    state: State


class Mirror:
    """What Snakemake recorded of the outputs in a results folder, in one file of that folder.

    Outputs are named by their paths, which begin with that of the folder.
    """

    def __init__(self, results: str) -> None:
        self._results = f"{results}/"
        self._file = Results(Path(results)).provenance
        self._made: dict[str, Made] = {}
        self._is_new = False
        # A damaged mirror is one that is not there: what it would have told is asked of the user.
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            self._made = {
                name: Made(one["record"], State(**one["state"])) for name, one in read_json(self._file).items()
            }

    def outputs(self) -> Iterator[str]:
        """The paths of the outputs that it knows and that are there."""
        return (path for path in map(self._results.__add__, self._made) if Path(path).exists())

    def lost(self, output: str, endtime: float | None) -> dict[str, Any] | None:
        """The record that an output needs back, or None.

        `endtime`: that of Snakemake's record, which is the time of the output that it is about; None without a record.
        A record that is about another output than this one, as after two results folders have changed places, gives
        way to the one of this output.
        """
        made = self._made[self._within(output)]
        if endtime is not None and (endtime == made.record["endtime"] or endtime == _time_of(Path(output))):
            return None
        size, changed = _extent(Path(output))
        if size != made.state.size:
            return None
        if changed != made.state.changed and (endtime is not None or _digest_of(Path(output)) != made.state.digest):
            return None
        return _spelt(made.record, PLACE, self._results)

    def set_back(self, output: str) -> None:
        """Give an output the time it had: in the order of copying, inputs would seem newer than what they made."""
        made, path = self._made[self._within(output)], Path(output)
        with suppress(OSError):
            if not path.is_dir():
                os.utime(path, ns=(made.state.changed, made.state.changed))
            elif _time_of(path) != (time := made.record["endtime"]):
                timestamp = path / TIMESTAMP
                os.utime(timestamp if timestamp.is_file() else path, (time, time))

    def knows(self, output: str) -> bool:
        """Whether an output is as it was when it was noted."""
        made, path = self._made.get(self._within(output)), Path(output)
        if made is None or _time_of(path) != made.record["endtime"]:
            return False
        return _extent(path) == (made.state.size, made.state.changed)

    def note(self, output: str, record: Mapping[str, Any]) -> None:
        """Take over what Snakemake has recorded of an output, unless the output has been written again since."""
        path = Path(output)
        if record["endtime"] != _time_of(path):
            return
        size, changed = _extent(path)
        state = State(size, changed, _digest_of(path))
        # The text of the environment file, which is long and not compared: its hash is.
        spelt = _spelt(record, self._results, PLACE) | {"conda_env": None}
        self._made[self._within(output)] = Made(spelt, state)
        self._is_new = True

    def save(self) -> None:
        """Write what was noted, without outputs that are no longer there."""
        if self._is_new:
            there = {name: asdict(made) for name, made in self._made.items() if Path(self._results + name).exists()}
            write_text(self._file, json.dumps(there, sort_keys=True))
            self._is_new = False

    def _within(self, output: str) -> str:
        return output.removeprefix(self._results)


def _spelt(record: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """A record with another beginning of the paths in the results folder."""

    def path(name: str) -> str:
        return new + name.removeprefix(old) if name.startswith(old) else name

    spelt = dict(record)
    spelt["input"] = sorted(map(path, record["input"] or []))
    spelt["input_checksums"] = {path(name): found for name, found in (record["input_checksums"] or {}).items()}
    return spelt


def _files_of(output: Path) -> list[Path]:
    if not output.is_dir():
        return [output]
    return sorted(file for file in output.rglob("*") if file.is_file() and file.name != TIMESTAMP)


def _extent(output: Path) -> tuple[int, int]:
    """The bytes of a file or folder, and the latest time at which a file of it was written, in ns."""
    found = [file.stat() for file in _files_of(output)]
    return sum(one.st_size for one in found), max((one.st_mtime_ns for one in found), default=0)


def _time_of(output: Path) -> float:
    """The time of a file or folder that Snakemake compares."""
    timestamp = output / TIMESTAMP
    return (timestamp if timestamp.is_file() else output).stat().st_mtime


def _digest_of(output: Path) -> str:
    return digest({str(file.relative_to(output)): _sampled(file) for file in _files_of(output)}, length=32)


def _sampled(file: Path) -> str:
    """A digest of a small file, or of the size of a large one and of samples at equal distances, the end among them."""
    size, found = file.stat().st_size, sha256()
    with file.open("rb") as content:
        if size <= WHOLE_BYTES:
            found.update(content.read())
        else:
            found.update(str(size).encode())
            for number in range(SAMPLES):
                content.seek((size - SAMPLE_BYTES) * number // (SAMPLES - 1))
                found.update(content.read(SAMPLE_BYTES))
    return found.hexdigest()
