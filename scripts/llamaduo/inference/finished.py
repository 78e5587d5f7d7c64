"""The finished samples of a model: an append-only file, so that nothing computed is computed again after a kill."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from llamaduo.cli.errors import InputError
from llamaduo.storage.append_log import AppendLog, read_lines


class Sample(BaseModel):
    """One line of the file: a response under the key of everything that determines it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    text: str
    finish_reason: Literal["stop", "length"]
    completion_tokens: int


class FinishedSamples:
    """The samples in a JSON Lines file, and appending to it. For one process at a time, under a lease.

    A last line that a kill cut off is removed, and computed again.
    Raises `InputError` when any other line is no sample.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with AppendLog(path) as log:
            log.mend()
        self._samples: dict[str, Sample] = {}
        for line in read_lines(path):
            try:
                sample = Sample.model_validate_json(line.text)
            except ValidationError as error:
                raise InputError(
                    f"{path}: line {line.number} is no finished sample: remove the line, and it is computed again"
                ) from error
            self._samples.setdefault(sample.key, sample)

    def get(self, key: str) -> Sample | None:
        """The finished sample of this key, or None."""
        return self._samples.get(key)

    def __getitem__(self, key: str) -> Sample:
        return self._samples[key]

    def append(self, samples: Iterable[Sample]) -> None:
        """Add samples; on disk when this returns."""
        samples = list(samples)
        lines = "".join(json.dumps(sample.model_dump(), ensure_ascii=False) + "\n" for sample in samples)
        with AppendLog(self.path) as log:
            log.append(lines.encode())
        for sample in samples:
            self._samples.setdefault(sample.key, sample)
