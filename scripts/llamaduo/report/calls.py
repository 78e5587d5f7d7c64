"""Calls, tokens and dollars per service and role, counted from the journals."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.report.plan import Plan
from llamaduo.report.reading import Reader

ROLES = {"synthesis": "generator", "judging": "judge", "baselines": "baseline"}
"""A service LLM's role, by the folder that a journal lies in."""


@dataclass
class Calls:
    """What one service LLM was asked in one role; tokens as the vendor counted them, dates in UTC.

    Several `answers` may come from one of the `calls`. `repeated`: asked again because the answer had not the form
    asked for. `cut`: the answer ran into its limit. `refused`: by the model or the vendor's filter. `in_batch`: came
    through the batch API. `dollars`: by the prices of the day; `unpriced` answers had none.
    """

    service: str
    role: str
    simulated: bool
    calls: int = 0
    answers: int = 0
    in_batch: int = 0
    repeated: int = 0
    cut: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0
    unpriced: int = 0
    first: str | None = None
    last: str | None = None

    def add(self, attempt: int, answer: Mapping[str, Any]) -> None:
        """Count one answer."""
        prompt_tokens = int(answer.get("prompt_tokens") or 0)
        completion_tokens = int(answer.get("completion_tokens") or 0)
        # The first answer of a call bears its prompt; a server that counts no tokens leaves each to be a call.
        self.calls += prompt_tokens > 0 or not completion_tokens
        self.answers += 1
        self.in_batch += bool(answer.get("batch"))
        self.repeated += attempt > 0
        self.cut += answer.get("stop_reason") == "length"
        self.refused += answer.get("stop_reason") in ("refusal", "filtered")
        self.prompt_tokens += prompt_tokens
        self.cached_tokens += int(answer.get("cached_tokens") or 0)
        self.completion_tokens += completion_tokens
        dollars = answer.get("dollars")
        self.dollars += float(dollars or 0)
        self.unpriced += dollars is None
        date = answer.get("date")
        if date:
            self.first = min(self.first or date, date)
            self.last = max(self.last or date, date)


def read_calls(reader: Reader, plan: Plan, journals: Path | None) -> list[Calls]:
    """Calls per service and role over all journals under a folder, in the config's order of services."""
    if journals is None:
        return []
    counted: dict[tuple[str, str, bool], Calls] = {}
    for path in sorted(journals.rglob("*.jsonl")):
        for entry in _entries(reader, path):
            request, answer = entry.get("request"), entry.get("answer")
            if not isinstance(request, dict) or not isinstance(answer, dict):
                continue
            places = path.relative_to(journals).with_suffix("").parts
            service, role = _service(plan, request, places), ROLES.get(places[0], places[0])
            simulated = bool(request.get("simulated") or plan.simulated([service]))
            calls = counted.setdefault((service, role, simulated), Calls(service, role, simulated))
            calls.add(int(request.get("attempt") or 0), answer)
    services, roles = list(plan.services), list(ROLES.values())
    return sorted(counted.values(), key=lambda each: (_place(each.service, services), _place(each.role, roles)))


def _entries(reader: Reader, path: Path) -> Iterator[Mapping[str, Any]]:
    """The whole lines of a journal. The last one may be torn by a kill, which is no problem to tell of."""
    unreadable = 0
    with path.open("rb") as lines:
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                unreadable += line.endswith(b"\n")
                continue
            if isinstance(entry, dict):
                yield entry
    if unreadable:
        reader.note(f"{path.as_posix()}: {unreadable} lines are not JSON and are left out of the counts")


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
