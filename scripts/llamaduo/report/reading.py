"""Reading of whatever exists: what is absent is None or empty, what cannot be read is noted and left out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from llamaduo.cli.errors import InputError
from llamaduo.storage.files import read_json
from llamaduo.storage.tables import Row, read_rows
from llamaduo.workflow.layout import Results


@dataclass
class Reader:
    """Reads a results folder for a report, which one bad file must not stop."""

    results: Path
    problems: list[str] = field(default_factory=list)

    @property
    def layout(self) -> Results:
        """Where the artifacts lie."""
        return Results(self.results)

    def json(self, path: Path) -> dict[str, Any] | None:
        """The object in a JSON file; None when there is no such file or it cannot be read."""
        if not path.is_file():
            return None
        try:
            value = read_json(path)
        except (ValueError, OSError) as error:
            self.note(f"{self.shown(path)}: not JSON: {error}")
            return None
        if not isinstance(value, dict):
            self.note(f"{self.shown(path)}: not a JSON object")
            return None
        return value

    def rows(self, path: Path, schema: pa.Schema) -> list[Row]:
        """The rows of a parquet artifact; empty when there is no such file or it cannot be read."""
        if not path.is_file():
            return []
        try:
            return read_rows(path, schema)
        except InputError as error:
            self.note(str(error).replace(str(path), self.shown(path)))
            return []

    def shown(self, path: Path) -> str:
        """A path as the report shows it: from the results folder on, where it lies inside."""
        return path.relative_to(self.results).as_posix() if path.is_relative_to(self.results) else path.as_posix()

    def note(self, problem: str) -> None:
        """Remember what could not be read; the report says so."""
        self.problems.append(problem)
