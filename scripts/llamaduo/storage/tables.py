"""Reading and writing parquet artifacts under their schemas: atomic, checked, equal bytes for equal rows."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llamaduo.cli.errors import InputError
from llamaduo.storage.files import atomic_path

Row = dict[str, Any]


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
