"""Small coverage datasets on disk, for tests."""

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = list[dict[str, Any]]


def no_robots_row(number: int, category: str = "Summarize", **changes: Any) -> dict[str, Any]:
    """A row in the No Robots layout."""
    prompt = f"Summarize the report number {number} on the river's water."
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": f"Report {number}: the water rose."}]
    row = {"prompt": prompt, "prompt_id": f"id-{number}", "messages": turns, "category": category}
    return {**row, **changes}


def no_robots_rows(numbers: Iterable[int], category: str = "Summarize") -> Rows:
    return [no_robots_row(number, category) for number in numbers]


def write_file(path: Path, rows: Rows) -> Path:
    """Write rows in the format that the path's ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            for row in rows:
                writer.writerow({name: v if isinstance(v, str) else json.dumps(v) for name, v in row.items()})
    return path
