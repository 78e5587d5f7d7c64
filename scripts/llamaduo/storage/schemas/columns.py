"""What the schemas of the parquet artifacts are made of: column types, and columns that may hold no value."""

from collections.abc import Mapping

import pyarrow as pa

TEXT, COUNT, REAL = pa.string(), pa.int64(), pa.float64()
MESSAGES = pa.list_(pa.struct([pa.field("role", TEXT, False), pa.field("content", TEXT, False)]))


def columns(required: Mapping[str, pa.DataType], nullable: Mapping[str, pa.DataType] | None = None) -> pa.Schema:
    """A schema of columns that hold a value in every row, and of columns that need not."""
    fields = [pa.field(name, kind, nullable=False) for name, kind in required.items()]
    return pa.schema(fields + [pa.field(name, kind) for name, kind in (nullable or {}).items()])


def extended(schema: pa.Schema, more: pa.Schema) -> pa.Schema:
    """The columns of `schema`, then those of `more`."""
    return pa.schema(list(schema) + list(more))
