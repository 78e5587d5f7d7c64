"""What stands in a journal, as a person reads it, and the same journal without what is of no use."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llamaduo.cli.errors import InputError
from llamaduo.service.budget.usage import Usage, total
from llamaduo.service.journal.reading import Record, read_journal
from llamaduo.storage.append_log import AppendLog, Line
from llamaduo.storage.files import atomic_path
from llamaduo.storage.lease import lease

SHOWN_LINES = 5
"""Lines that are no records are named up to so many."""
HEADINGS = ("model", "stop reason", "attempt", "answers", "prompt tokens", "answer tokens", "dollars", "dates")


@dataclass
class Contents:
    """A journal's usage by model, stop reason and attempt, and what is wrong with its lines.

    `broken`: the numbers of the lines that are no records, and whether they end in a line break.
    """

    usage: dict[tuple[str, str, str], Usage]
    repeated: int
    broken: list[tuple[int, bool]]
    bytes: int


def contents(path: Path) -> Contents:
    """Read a journal, which another process may be writing to. Raises `InputError` when there is none."""
    found = Contents({}, 0, [], 0)
    keys: Counter[str] = Counter()
    for line, record in _lines(path):
        found.bytes += len(line.text)
        if record is None:
            found.broken.append((line.number, line.ends))
            continue
        keys[record.key] += 1
        request = record.request
        model = f"{request.get('provider', '?')}/{request.get('model', '?')}"
        model += " (simulated)" if record.is_simulated else ""
        kind = (model, record.answer.stop_reason, str(request.get("attempt", "?")))
        found.usage.setdefault(kind, Usage()).add(record.answer, record.attempt, record.is_simulated)
    found.repeated = keys.total() - len(keys)
    return found


def report(path: Path) -> str:
    """A table of what a journal holds, and a line for whatever is wrong with it."""
    found = contents(path)
    rows = [HEADINGS, *(_row(*kind, usage) for kind, usage in sorted(found.usage.items()))]
    whole = total(found.usage.values())
    if len(found.usage) > 1:
        rows.append(_row("all", "", "", whole))
    lines = [f"{path}: {whole.answers} answers, {found.bytes / 1e6:.1f} MB"]
    if found.usage:
        lines += ["", *_table(rows), ""]
    if found.repeated:
        lines.append(f"{found.repeated} answers stand under keys of later ones, which count instead of them")
    for number, ends in found.broken[:SHOWN_LINES]:
        what = "is no record" if ends else "was not finished; it is removed when the journal is next used"
        lines.append(f"line {number} {what}")
    if len(found.broken) > SHOWN_LINES:
        lines.append(f"and {len(found.broken) - SHOWN_LINES} more lines are no records")
    return "\n".join(lines).rstrip()


def entry(path: Path, key: str) -> str:
    """The record whose key begins with `key`, as indented JSON. Raises `InputError` unless there is just one."""
    found = {record.key: line for line, record in _lines(path) if record and record.key.startswith(key)}
    if len(found) != 1:
        raise InputError(f"{path}: {len(found) or 'no'} keys begin with {key!r}" + "; give more of it" * bool(found))
    (line,) = found.values()
    return json.dumps(json.loads(line.text), indent=2, ensure_ascii=False)


@dataclass(frozen=True)
class Compacted:
    """How many lines a journal kept, and how many were dropped for a later one, or set aside in the file `aside`."""

    kept: int
    repeated: int
    broken: int
    aside: Path


def compact(path: Path) -> Compacted:
    """Rewrite a journal: of several answers under one key only the last, and no lines that are no records.

    The latter are appended to a file beside it. The journal is replaced as a whole, while no other process may write
    to it. Raises `InputError` when one does (`LeaseHeld`), or when there is no journal, but some other file.
    """
    aside = path.with_name(f"{path.name}.unreadable")
    if not path.is_file():
        raise InputError(f"{path}: no such journal")
    with lease(path, f"the journal {path}"):
        last = {record.key: line.number for line, record in _lines(path) if record}
        if not last and path.stat().st_size:
            raise InputError(f"{path}: holds no record at all, so it is no journal; it was left as it is")
        kept = repeated = 0
        broken: list[bytes] = []
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            for line, record in _lines(path):
                whole = line.text if line.ends else line.text + b"\n"
                if record is None:
                    broken.append(whole)
                elif last[record.key] == line.number:
                    file.write(whole)
                    kept += 1
                else:
                    repeated += 1
            if broken:
                # Before the journal is replaced, so that nothing is lost in between.
                with AppendLog(aside) as log:
                    log.append(b"".join(broken))
    return Compacted(kept, repeated, len(broken), aside)


def _lines(path: Path) -> Iterator[tuple[Line, Record | None]]:
    try:
        yield from read_journal(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such journal") from None


def _row(model: str, stop_reason: str, attempt: str, usage: Usage) -> tuple[str, ...]:
    first, last = usage.first[:10], usage.last[:10]
    without_price = usage.unpriced + usage.simulated_unpriced == usage.answers
    return (
        model,
        stop_reason,
        attempt,
        f"{usage.answers:,}",
        f"{usage.prompt_tokens:,}",
        f"{usage.completion_tokens:,}",
        "?" if without_price else f"{usage.dollars + usage.simulated_dollars:,.4f}",
        first if first == last else f"{first} to {last}",
    )


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """The rows in columns as wide as they need to be: words to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    numbers = range(2, 7)
    return [
        "  ".join(
            text.rjust(width) if column in numbers else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
