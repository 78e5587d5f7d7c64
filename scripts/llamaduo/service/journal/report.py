"""What stands in a journal, as a person reads it, and the same journal without what is of no use."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llamaduo.cli.errors import InputError
from llamaduo.service.interface import Answer
from llamaduo.service.journal.journal import Place, places, record
from llamaduo.storage.files import atomic_path, sync_folder
from llamaduo.storage.lease import lease

SHOWN_LINES = 5
"""Lines that are no records are named up to so many."""
HEADINGS = ("model", "stop reason", "attempt", "answers", "prompt tokens", "answer tokens", "dollars", "dates")


@dataclass
class Sums:
    """What a set of answers adds up to. `dollars` is None when no answer knows its price."""

    answers: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float | None = None
    dates: set[str] = field(default_factory=set)

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        self.answers += 1
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens
        if answer.dollars is not None:
            self.dollars = (self.dollars or 0.0) + answer.dollars
        day = answer.date[:10]
        self.dates = {day, *self.dates} if len(self.dates) < 2 else {min(day, *self.dates), max(day, *self.dates)}


@dataclass
class Contents:
    """A journal's sums by model, stop reason and attempt, and what is wrong with its lines."""

    sums: dict[tuple[str, str, str], Sums]
    repeated: int
    broken: list[Place]
    bytes: int


def contents(path: Path) -> Contents:
    """Read a journal, which another process may be writing to. Raises `InputError` when there is none."""
    found = Contents({}, 0, [], 0)
    keys: Counter[str] = Counter()
    for place, line in _lines(path):
        found.bytes += place.length
        if place.key is None:
            found.broken.append(place)
            continue
        keys[place.key] += 1
        _, answer = record(line)
        request = json.loads(line).get("request") or {}
        model = f"{request.get('provider', '?')}/{request.get('model', '?')}"
        model += " (simulated)" if request.get("simulated") else ""
        kind = (model, answer.stop_reason, str(request.get("attempt", "?")))
        found.sums.setdefault(kind, Sums()).add(answer)
    found.repeated = keys.total() - len(keys)
    return found


def report(path: Path) -> str:
    """A table of what a journal holds, and a line for whatever is wrong with it."""
    found = contents(path)
    rows = [HEADINGS, *(_row(*kind, sums) for kind, sums in sorted(found.sums.items()))]
    if len(found.sums) > 1:
        rows.append(_row("all", "", "", _total(found.sums.values())))
    answers = sum(sums.answers for sums in found.sums.values())
    lines = [f"{path}: {answers} answers, {found.bytes / 1e6:.1f} MB"]
    if found.sums:
        lines += ["", *_table(rows), ""]
    if found.repeated:
        lines.append(f"{found.repeated} answers stand under keys of later ones, which count instead of them")
    for place in found.broken[:SHOWN_LINES]:
        what = "is no record" if place.ends else "was not finished; it is removed when the journal is next used"
        lines.append(f"line {place.number} {what}")
    if len(found.broken) > SHOWN_LINES:
        lines.append(f"and {len(found.broken) - SHOWN_LINES} more lines are no records")
    return "\n".join(lines).rstrip()


def entry(path: Path, key: str) -> str:
    """The record whose key begins with `key`, as indented JSON. Raises `InputError` unless there is just one."""
    found = {place.key: line for place, line in _lines(path) if place.key and place.key.startswith(key)}
    if len(found) != 1:
        raise InputError(f"{path}: {len(found) or 'no'} keys begin with {key!r}" + "; give more of it" * bool(found))
    (line,) = found.values()
    content: dict[str, Any] = json.loads(line)
    return json.dumps(content, indent=2, ensure_ascii=False)


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
        last = {place.key: place.number for place in places(path)}
        if last and not any(last):
            raise InputError(f"{path}: holds no record at all, so it is no journal; it was left as it is")
        kept = repeated = 0
        broken: list[bytes] = []
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            for place, line in _lines(path):
                if place.key is None:
                    broken.append(line)
                elif last[place.key] == place.number:
                    file.write(line if place.ends else line + b"\n")
                    kept += 1
                else:
                    repeated += 1
            # Before the journal is replaced, so that nothing is lost in between.
            _set_aside(aside, broken)
    return Compacted(kept, repeated, len(broken), aside)


def _set_aside(path: Path, lines: list[bytes]) -> None:
    if not lines:
        return
    with path.open("ab") as file:
        for line in lines:
            file.write(line.rstrip(b"\n") + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def _lines(path: Path) -> Iterator[tuple[Place, bytes]]:
    try:
        with path.open("rb") as file:
            for place in places(path):
                yield place, file.read(place.length)
    except FileNotFoundError:
        raise InputError(f"{path}: no such journal") from None


def _total(all_sums: Iterable[Sums]) -> Sums:
    total = Sums()
    for sums in all_sums:
        total.answers += sums.answers
        total.prompt_tokens += sums.prompt_tokens
        total.completion_tokens += sums.completion_tokens
        if sums.dollars is not None:
            total.dollars = (total.dollars or 0.0) + sums.dollars
        total.dates |= sums.dates
    return total


def _row(model: str, stop_reason: str, attempt: str, sums: Sums) -> tuple[str, ...]:
    first, last = min(sums.dates), max(sums.dates)
    return (
        model,
        stop_reason,
        attempt,
        f"{sums.answers:,}",
        f"{sums.prompt_tokens:,}",
        f"{sums.completion_tokens:,}",
        "?" if sums.dollars is None else f"{sums.dollars:,.4f}",
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
