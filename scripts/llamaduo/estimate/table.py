"""An estimate as text, for the terminal, and as plain values, for a file."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tabulate import tabulate

from llamaduo.config.root import Config
from llamaduo.estimate.privacy import Sent
from llamaduo.estimate.work import STAGES, Line, Work
from llamaduo.service.budget.usage import Usage, total

UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


@dataclass(frozen=True)
class Sum:
    """Lines added up. `unpriced`: the services without a price; `disk`: bytes."""

    jobs: int
    usage: Usage
    unpriced: tuple[str, ...]
    gpu_hours: float
    disk: float


def added(lines: Iterable[Line]) -> Sum:
    """The sum of lines."""
    lines = list(lines)
    asked = [line for line in lines if line.calls]
    return Sum(
        jobs=sum(line.jobs for line in lines),
        usage=total(map(_usage, asked)),
        unpriced=tuple(dict.fromkeys(line.who for line in asked if line.dollars is None and not line.simulated)),
        gpu_hours=sum(line.gpu_hours for line in lines),
        disk=sum(line.disk for line in lines),
    )


def _usage(line: Line) -> Usage:
    usage = Usage(line.calls, prompt_tokens=line.prompt_tokens, completion_tokens=line.completion_tokens)
    usage.charge(line.dollars, line.simulated)
    return usage


def text(works: Sequence[Work], config: Config, sent: Sequence[Sent], notes: Sequence[str]) -> str:
    """Both bounds side by side, by stage and by service, what is sent where, and what it all rests on."""
    in_order = [Work(work.bound, tuple(sorted(work.lines, key=_place))) for work in works]
    stages = _table("stage", in_order, lambda line: (line.stage, line.who if line.calls else ""))
    services = _table("service", works, lambda line: (line.who, "") if line.calls else None)
    total = _table("", works, lambda _: ("all", ""))
    tasks: dict[tuple[str, ...], list[str]] = {}
    for each in sent:
        tasks.setdefault((_marked(config, each.service), each.provider, each.role, each.fields), []).append(each.task)
    fields = tabulate(
        [[service, where, role, what, ", ".join(names)] for (service, where, role, what), names in tasks.items()],
        ["service", "where", "role", "what it is sent", "of the tasks"],
        tablefmt="simple",
    )
    parts = ["Lower bound – upper bound", stages, services, total, "What is sent where", fields, *notes]
    return "\n\n".join(part for part in parts if part) + "\n"


def values(works: Sequence[Work], sent: Sequence[Sent], notes: Sequence[str]) -> dict[str, Any]:
    """The same as plain values, for JSON."""
    return {
        **{work.bound: {"total": _values(added(work.lines)), "lines": list(map(asdict, work.lines))} for work in works},
        "sent": list(map(asdict, sent)),
        "notes": list(notes),
    }


def _values(total: Sum) -> dict[str, Any]:
    names = ("calls", "prompt_tokens", "completion_tokens", "dollars", "simulated_dollars")
    values = asdict(total)
    usage = values.pop("usage")
    return values | {name: usage[name] for name in names}


def _table(title: str, works: Sequence[Work], group: Callable[[Line], tuple[str, str] | None]) -> str:
    # The upper bound has all that the lower one has, and more.
    keys = dict.fromkeys(key for work in reversed(works) for line in work.lines if (key := group(line)) is not None)
    rows = []
    for key in keys:
        sums = [added(line for line in work.lines if group(line) == key) for work in works]
        name = " ".join(part for part in key if part)
        rows.append([name, *(between([_shown(each, column) for each in sums]) for column in COLUMNS)])
    columns = [title, *COLUMNS]
    return tabulate(rows, columns, tablefmt="simple", colalign=["left"] + ["right"] * len(COLUMNS)) if rows else ""


COLUMNS = ("jobs", "calls", "prompt tokens", "answer tokens", "dollars", "GPU hours", "disk")


def _shown(total: Sum, column: str) -> str:
    if column == "dollars":
        return dollars(total)
    if column == "GPU hours":
        return "" if not total.gpu_hours else f"{total.gpu_hours:,.1f}"
    if column == "disk":
        return size(total.disk)
    if column == "prompt tokens":
        return tokens(total.usage.prompt_tokens)
    if column == "answer tokens":
        return tokens(total.usage.completion_tokens)
    number = {"jobs": total.jobs, "calls": total.usage.calls}[column]
    return f"{number:,}" if number else ""


def dollars(total: Sum) -> str:
    """Dollars, as `Usage.money`; nothing where nobody is asked."""
    return total.usage.money if total.usage.calls else ""


def between(bounds: Sequence[str]) -> str:
    """Two bounds, or one figure where they are the same."""
    if len(set(bounds)) == 1:
        return bounds[0]
    return " – ".join(bound or "0" for bound in bounds)


def tokens(count: int) -> str:
    """Tokens in millions, as prices are told, where there are that many."""
    return f"{count / 1e6:,.1f} M" if count >= 1e6 else f"{count:,}" if count else ""


def size(count: float) -> str:
    """Bytes in a unit that fits."""
    for unit, name in UNITS:
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return "" if not count else f"{count:.0f} B"


def _place(line: Line) -> int:
    return STAGES.index(line.stage)


def _marked(config: Config, name: str) -> str:
    return f"{name} (simulated)" if config.services[name].is_simulated else name
