"""The rows of one file (parquet, JSON Lines, JSON, CSV) as plain values, each knowing where it stands."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from llamaduo.cli.errors import InputError

PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class SourceRow:
    """One row as it was found; `place` names its file and its row, counted from 1, for messages."""

    place: str
    values: dict[str, Any]


def read_file(path: Path) -> list[SourceRow]:
    """All rows of a file, read as its ending says.

    Raises `InputError` naming file and row when there is no such file, the content is not what the ending says,
    or text is not UTF-8.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: unknown kind of file; the name must end in one of {', '.join(READERS)}")
    try:
        return reader(path)
    except PermissionError as error:
        raise InputError(f"{path}: cannot be read: permission denied") from error


def _read_parquet(path: Path) -> list[SourceRow]:
    try:
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not a parquet file, as its name says, or a damaged one: {error}") from error
    try:
        values = table.to_pylist()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: row {_undecodable(table)}: not valid UTF-8") from error
    return [SourceRow(f"{path}: row {number}", row) for number, row in enumerate(values, start=1)]


def _undecodable(table: pa.Table) -> int:
    for index in range(table.num_rows):
        try:
            table.slice(index, 1).to_pylist()
        except UnicodeDecodeError:
            return index + 1
    raise AssertionError("the table as a whole could not be decoded, but each of its rows can")


def _read_jsonl(path: Path) -> list[SourceRow]:
    rows: list[SourceRow] = []
    for line_number, line in enumerate(_bytes(path).split(b"\n"), start=1):
        if not line.strip():
            continue
        number = len(rows) + 1
        place = f"{path}: row {number}" if number == line_number else f"{path}: row {number} (line {line_number})"
        text = _decode(line, place)
        if number == 1 and text.lstrip().startswith("["):
            raise InputError(f"{path}: not JSON Lines, as its name says: it holds a JSON array; name it .json")
        rows.append(SourceRow(place, _as_object(_parse(text, place, "JSON Lines"), place)))
    return rows


def _read_json(path: Path) -> list[SourceRow]:
    text = _decode(_bytes(path), str(path))
    try:
        values = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        if _first_line_is_an_object(text):
            raise InputError(f"{path}: not one JSON array, as its name says, but JSON Lines; name it .jsonl") from error
        raise InputError(f"{path}: not JSON, as its name says: {error}") from error
    if not isinstance(values, list):
        raise InputError(f"{path}: holds a JSON {_kind(values)}; an array of rows is expected (or JSON Lines: .jsonl)")
    places = [f"{path}: row {number}" for number in range(1, len(values) + 1)]
    return [SourceRow(place, _as_object(value, place)) for place, value in zip(places, values, strict=True)]


def _read_csv(path: Path) -> list[SourceRow]:
    text = _decode(_bytes(path), str(path))
    if text.lstrip().startswith(("{", "[")):
        raise InputError(f"{path}: not CSV, as its name says: it begins like JSON")
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[SourceRow] = []
    try:
        header = next(reader, [])
        if len(set(header)) < len(header):
            raise InputError(f"{path}: two columns have the same name: {', '.join(header)}")
        line_number = reader.line_num + 1
        for fields in reader:
            place = f"{path}: row {len(rows) + 1} (line {line_number})"
            line_number = reader.line_num + 1
            if not fields:
                continue
            if len(fields) != len(header):
                raise InputError(f"{place}: {len(fields)} fields, but the header names {len(header)} columns")
            rows.append(SourceRow(place, dict(zip(header, fields, strict=True))))
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: not CSV, as its name says: {error}") from error
    return rows


READERS: dict[str, Callable[[Path], list[SourceRow]]] = {
    ".parquet": _read_parquet,
    ".jsonl": _read_jsonl,
    ".json": _read_json,
    ".csv": _read_csv,
}


def _bytes(path: Path) -> bytes:
    data = path.read_bytes().removeprefix("\ufeff".encode())
    if data.startswith(PARQUET_MAGIC):
        raise InputError(f"{path}: a parquet file, although its name says {path.suffix}; name it .parquet")
    return data


def _decode(data: bytes, place: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        lines = data.count(b"\n", 0, error.start)
        where = f"{place}: line {lines + 1}" if b"\n" in data else place
        raise InputError(f"{where}: not valid UTF-8 (byte 0x{data[error.start]:02x}); save it as UTF-8") from error


def _parse(text: str, place: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{place}: not {what}, as the file's name says: {error}") from error


def _as_object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{place}: a JSON {_kind(value)}; an object with the row's columns is expected")
    return value


def _first_line_is_an_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text.strip().split("\n", 1)[0]), dict)
    except (json.JSONDecodeError, RecursionError):
        return False


def _kind(value: Any) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return kinds.get(type(value), "null")
