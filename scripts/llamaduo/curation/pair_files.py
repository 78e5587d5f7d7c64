"""Files of pairs, parquet or JSON lines: read as rows, and chosen rows written with all the columns they had."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import pyarrow as pa
import pyarrow.parquet as pq

from llamaduo.cli.errors import InputError
from llamaduo.curation.pairs import IDENTIFIERS, STOP_REASONS, Rejection
from llamaduo.storage.files import atomic_path

Row = dict[str, Any]
Rows = Sequence[Row]

PARQUET_MARK = b"PAR1"
JSON_LINES = (".jsonl", ".ndjson", ".json")
READ = ("messages", "instruction", "response", "error", *STOP_REASONS, *IDENTIFIERS)
ADDED = pa.schema(
    [
        pa.field("reason", pa.string(), nullable=False),
        pa.field("matched_id", pa.string()),
        pa.field("score", pa.float64()),
    ]
)


class TableRows(Sequence[Row]):
    """The rows of a table, made when they are asked for: all at once they would take many times its memory."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return self._table.num_rows

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> Rows: ...
    def __getitem__(self, at: int | slice) -> Row | Rows:
        """One row, or the rows of a slice without a step."""
        start, end, _ = (at if isinstance(at, slice) else slice(at, at + 1)).indices(len(self))
        rows: list[Row] = self._table.slice(start, max(0, end - start)).to_pylist()
        if isinstance(at, slice):
            return rows
        if not rows:
            raise IndexError(at)
        return rows[0]

    def take(self, positions: Sequence[int]) -> list[Row]:
        """The rows at some positions, in that order."""
        found: list[Row] = self._table.take(pa.array(positions, pa.int64())).to_pylist()
        return found


@dataclass(frozen=True)
class PairFiles:
    """The rows of one or several files, in order."""

    rows: Rows
    """What curation looks at; of parquet files the columns that it knows, of JSON lines all."""
    sizes: list[int]
    """Rows per file."""
    table: pa.Table | None
    """All columns, when every file is parquet."""

    def take(self, positions: Sequence[int]) -> list[Row]:
        """The rows at some positions, in that order, with what curation looks at."""
        if isinstance(self.rows, TableRows):
            return self.rows.take(positions)
        return [self.rows[position] for position in positions]

    def all_rows(self) -> list[Row]:
        """Every row with all its columns."""
        return self._all_columns(range(len(self.rows)))

    def write(self, path: Path, positions: Sequence[int]) -> None:
        """Write the rows at `positions`, in that order, with the columns and types they came with."""
        if self.table is not None and _is_parquet_name(path):
            _write_table(path, self.table.take(pa.array(positions, pa.int64())))
        else:
            self._write_rows(path, self._all_columns(positions), pa.schema([]))

    def write_rejected(self, path: Path, rejected: Mapping[int, Rejection]) -> None:
        """Write the rows by position with reason, matched_id and score.

        A column of the input that has one of these names is kept as `input_<name>`.
        """
        added = [dataclasses.asdict(rejection) for rejection in rejected.values()]
        if self.table is not None and _is_parquet_name(path):
            table = self.table.take(pa.array(list(rejected), pa.int64()))
            table = table.rename_columns([_not_added(name) for name in table.column_names])
            for field, column in zip(ADDED, pa.Table.from_pylist(added, schema=ADDED).columns, strict=True):
                table = table.append_column(field, column)
            _write_table(path, table)
        else:
            rows = [
                {_not_added(name): value for name, value in row.items()} | more
                for row, more in zip(self._all_columns(list(rejected)), added, strict=True)
            ]
            self._write_rows(path, rows, ADDED)

    def _all_columns(self, positions: Sequence[int]) -> list[Row]:
        if self.table is not None:
            return self.table.take(pa.array(positions, pa.int64())).to_pylist()
        return [self.rows[position] for position in positions]

    def _write_rows(self, path: Path, rows: list[Row], known: pa.Schema) -> None:
        if _is_parquet_name(path):
            columns = _columns(path, self.rows)
            renamed = [field.with_name(_not_added(field.name)) if len(known) else field for field in columns]
            _write_table(path, pa.Table.from_pylist(rows, schema=pa.schema([*renamed, *known])))
            return
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            for row in rows:
                file.write(_line(row))


def read_pair_files(paths: Sequence[Path]) -> PairFiles:
    """Read files of pairs; each has a column `messages`, or the columns `instruction` and `response`.

    Raises `InputError` naming the file, and the line or columns, for a file that is missing, empty of columns, of
    another format, or that has neither layout.
    """
    if not paths:
        raise InputError("no file given; name at least one")
    tables: list[pa.Table] = []
    rows: list[Row] = []
    sizes = []
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        with path.open("rb") as file:
            is_parquet = file.read(len(PARQUET_MARK)) == PARQUET_MARK
        if is_parquet:
            table = _read_parquet(path)
            _check_columns(path, table.column_names)
            tables.append(table)
            sizes.append(table.num_rows)
        elif _is_parquet_name(path):
            raise InputError(f"{path}: not a parquet file, although its name says so")
        else:
            check_format(path)
            lines = _read_lines(path)
            rows += lines
            sizes.append(len(lines))
    if tables and rows:
        raise InputError(f"{paths[0]} and others: parquet files and JSON lines cannot be read together; convert one")
    if not tables:
        return PairFiles(rows, sizes, None)
    try:
        # One chunk, so that the bytes written depend on the rows and not on how they were spread over files.
        table = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(f"{paths[0]} and others: their columns differ in type: {error}") from error
    known = table.select([name for name in READ if name in table.column_names])
    return PairFiles(TableRows(known), sizes, table)


def check_format(path: Path) -> None:
    """Raise `InputError` unless the name of `path` says in which format it is."""
    if path.suffix not in (".parquet", *JSON_LINES):
        raise InputError(f"{path}: format not known; the name must end in .parquet or {', '.join(JSON_LINES)}")


def _read_parquet(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a readable parquet file: {error}") from error


def _read_lines(path: Path) -> list[Row]:
    rows = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                raise InputError(f"{path}: line {number}: not UTF-8: {error}") from error
            except json.JSONDecodeError as error:
                raise InputError(f"{path}: line {number}: not JSON ({error}); expected one object per line") from error
            if not isinstance(row, dict):
                raise InputError(f"{path}: line {number}: {type(row).__name__} found, expected a JSON object")
            _check_columns(f"{path}: line {number}", list(row))
            rows.append(row)
    return rows


def _check_columns(where: Path | str, names: Sequence[str]) -> None:
    if "messages" not in names and not {"instruction", "response"} <= set(names):
        found = ", ".join(names) or "none"
        raise InputError(f"{where}: the columns messages, or instruction and response, are missing; found: {found}")


def _columns(path: Path, rows: Sequence[Row]) -> list[pa.Field]:
    """Every column of any row, in the order met; of all rows, so that types do not depend on which were chosen."""
    fields = []
    for name in {name: None for row in rows for name in row}:
        try:
            fields.append(pa.field(name, pa.array([row.get(name) for row in rows]).type))
        except (ValueError, TypeError, pa.ArrowException) as error:
            raise InputError(
                f"{path}: the column {name!r} of the input fits no parquet type ({error}); write .jsonl instead"
            ) from error
    return fields


def _line(row: Row) -> bytes:
    """One line of JSON; escaped throughout only where a lone surrogate could not be written otherwise."""
    try:
        return (json.dumps(row, ensure_ascii=False, default=str) + "\n").encode()
    except UnicodeEncodeError:
        return (json.dumps(row, default=str) + "\n").encode()


def _not_added(name: str) -> str:
    return f"input_{name}" if name in ADDED.names else name


def _is_parquet_name(path: Path) -> bool:
    return path.suffix == ".parquet"


def _write_table(path: Path, table: pa.Table) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(table.combine_chunks(), temporary, compression="zstd")
