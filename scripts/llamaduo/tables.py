"""The schemas of all parquet artifacts, and reading and writing them: atomic, checked, equal bytes for equal rows."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llamaduo.errors import InputError
from llamaduo.files import atomic_path

Row = dict[str, Any]

TEXT, COUNT, REAL = pa.string(), pa.int64(), pa.float64()
MESSAGES = pa.list_(pa.struct([pa.field("role", TEXT, False), pa.field("content", TEXT, False)]))


def _schema(required: Mapping[str, pa.DataType], nullable: Mapping[str, pa.DataType] | None = None) -> pa.Schema:
    fields = [pa.field(name, kind, nullable=False) for name, kind in required.items()]
    return pa.schema(fields + [pa.field(name, kind) for name, kind in (nullable or {}).items()])


def _extended(schema: pa.Schema, more: pa.Schema) -> pa.Schema:
    return pa.schema(list(schema) + list(more))


COVERAGE = _schema({"prompt": TEXT, "prompt_id": TEXT, "messages": MESSAGES, "category": TEXT})

# A generator's answer that could not be parsed is one row with an error and without messages.
SYNTHESIS = _schema(
    {
        "generators": TEXT,
        "prompt_ids": TEXT,
        "seed_prompts": TEXT,
        "category": TEXT,
        "call": COUNT,
        "position": COUNT,
        "stop_reason": TEXT,
    },
    {"messages": MESSAGES, "error": TEXT, "answer": TEXT},
)
POOL = SYNTHESIS
REJECTED = _extended(SYNTHESIS, _schema({"reason": TEXT}, {"matched_id": TEXT, "score": REAL}))

DATASET = _schema({"messages": MESSAGES, "category": TEXT, "origin": TEXT, "prompt_id": TEXT})

TRAINING = _schema(
    {"step": COUNT, "epoch": REAL},
    {"loss": REAL, "eval_loss": REAL, "learning_rate": REAL, "tokens": COUNT},
)

RESPONSES = _schema(
    {
        "instructions": TEXT,
        "target_responses": TEXT,
        "candidate_responses": TEXT,
        "model_id": TEXT,
        "model_sha": TEXT,
        "prompt_id": TEXT,
        "sample": COUNT,
        "finish_reason": TEXT,
        "prompt_tokens": COUNT,
        "completion_tokens": COUNT,
        "messages": MESSAGES,
    }
)


def grades_schema(metrics: Sequence[str]) -> pa.Schema:
    """Responses with the grades of one judge: per metric the mean, the M single grades and the reasons given.

    A grade that could not be had is null, and so is a mean over none.
    """
    grades: dict[str, pa.DataType] = {"dates": TEXT}
    for metric in metrics:
        grades[f"{metric}_scores"] = REAL
        grades[f"{metric}_grades"] = pa.list_(REAL)
        grades[f"{metric}_reasons"] = pa.list_(TEXT)
    return _extended(RESPONSES, _schema({"eval_prompts": TEXT, "evaluators": TEXT}, grades))


METRICS = _schema(
    {
        "judge": TEXT,
        "metric": TEXT,
        "statistic": TEXT,
        "value": REAL,
        "lower": REAL,
        "upper": REAL,
        "prompts": COUNT,
        "responses": COUNT,
        "ungraded": COUNT,
    },
    {"zeta": REAL},
)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Write rows in their order under `schema`; columns that it does not name are an error."""
    rows = list(rows)
    unknown = {name for row in rows for name in row} - set(schema.names)
    if unknown:
        raise ValueError(f"{path}: columns outside the schema: {', '.join(sorted(unknown))}")
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
    _check_nulls(path, table, schema)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_rows(path: Path, schema: pa.Schema) -> list[Row]:
    """The rows of a parquet artifact, checked against `schema`; further columns are kept."""
    return read_table(path, schema).to_pylist()


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """The parquet artifact at `path`, checked against `schema`.

    Raises `InputError` when the file is missing, is no parquet, lacks a column, or a column's type differs.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a parquet file: {error}") from error
    for field in schema:
        if field.name not in table.column_names:
            raise InputError(f"{path}: the column {field.name!r} is missing; found: {', '.join(table.column_names)}")
        found = table.schema.field(field.name).type
        if not found.equals(field.type):
            try:
                column = table.column(field.name).cast(field.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise InputError(f"{path}: the column {field.name!r} is {found}, not {field.type}") from error
            table = table.set_column(table.column_names.index(field.name), field, column)
    _check_nulls(path, table, schema)
    return table


def _check_nulls(path: Path, table: pa.Table, schema: pa.Schema) -> None:
    for field in schema:
        if not field.nullable and table.column(field.name).null_count:
            row = table.column(field.name).is_null().index(True).as_py()
            raise InputError(f"{path}: row {row}: the column {field.name!r} has no value")
