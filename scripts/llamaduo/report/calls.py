"""Calls, tokens and dollars per service and role, counted from the journals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llamaduo.report.plan import Plan
from llamaduo.report.reading import Reader
from llamaduo.service.budget.usage import Usage
from llamaduo.service.journal.reading import read_journal

ROLES = {"synthesis": "generator", "judging": "judge", "baselines": "baseline"}
"""A service LLM's role, by the folder that a journal lies in."""


@dataclass(frozen=True)
class Calls:
    """What one service LLM was asked in one role."""

    service: str
    role: str
    simulated: bool
    usage: Usage = field(default_factory=Usage)


def read_calls(reader: Reader, plan: Plan, journals: Path | None) -> list[Calls]:
    """Calls per service and role over all journals under a folder, in the config's order of services."""
    if journals is None:
        return []
    counted: dict[tuple[str, str, bool], Calls] = {}
    for path in sorted(journals.rglob("*.jsonl")):
        places = path.relative_to(journals).with_suffix("").parts
        unreadable = 0
        for line, record in read_journal(path):
            if record is None:
                # The last line may be torn by a kill, which is no problem to tell of.
                unreadable += line.ends
                continue
            service, role = _service(plan, record.request, places), ROLES.get(places[0], places[0])
            simulated = record.is_simulated or bool(plan.simulated([service]))
            calls = counted.setdefault((service, role, simulated), Calls(service, role, simulated))
            calls.usage.add(record.answer, record.attempt, simulated)
        if unreadable:
            reader.note(f"{path.as_posix()}: {unreadable} lines are no records and are left out of the counts")
    services, roles = list(plan.services), list(ROLES.values())
    return sorted(counted.values(), key=lambda each: (_place(each.service, services), _place(each.role, roles)))


def _service(plan: Plan, request: Mapping[str, Any], places: Sequence[str]) -> str:
    """The config's name of the service that a request went to, or the vendor's name of the model.

    Several services may be the same model with other settings; then the journal's place tells which it was.
    """
    names = [
        name
        for name, service in plan.services.items()
        if (service.provider, service.model) == (request.get("provider"), request.get("model"))
    ]
    named = [name for name in names if name in places]
    return next(iter(named or names), f"{request.get('provider')}/{request.get('model')}")


def _place(name: str, names: Sequence[str]) -> int:
    return names.index(name) if name in names else len(names)
