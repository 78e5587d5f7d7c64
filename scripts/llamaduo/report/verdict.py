"""The verdict of a run from the decisions of its cycles."""

from collections.abc import Mapping, Sequence
from typing import Any

from llamaduo.cli.errors import InputError
from llamaduo.config.root import WITHOUT_GENERATOR

Decision = Mapping[str, Any]


def close_run(decisions: Sequence[Decision], generator: str | None = None) -> dict[str, Any]:
    """The verdict of one run, from its decisions in the order of the cycles.

    Args:
        decisions: of one task, generator and model; the one at volume 0 belongs to all generators. Every one but the
            last says `expand`; the last says `converged` or `exhausted`.
        generator: the run's generator; needed only where the run ended at volume 0.

    Returns:
        task, generator, model; verdict; reason (of `exhausted`: "volumes" or "yield", otherwise null) and advice;
        volume, the last one that was trained on (null where none was); cycles, how many were trained; decisions.

    Raises:
        InputError: no decisions, decisions of several runs, out of order, or without an end.
    """
    if not decisions:
        raise InputError("a run without decisions has no verdict")
    task, model = (_shared(decisions, key) for key in ("task", "model"))
    own = [decision for decision in decisions if decision["generator"] != WITHOUT_GENERATOR]
    named = generator or (_shared(own, "generator") if own else WITHOUT_GENERATOR)
    if own and _shared(own, "generator") != named:
        raise InputError(f"the decisions are of the generator {own[0]['generator']!r}, not of {named!r}")
    _check_order(decisions)
    last = decisions[-1]
    trained = [decision for decision in decisions if decision.get("reason") != "yield"]
    return {
        "task": task,
        "generator": named,
        "model": model,
        "verdict": last["verdict"],
        "reason": last.get("reason"),
        "advice": last.get("advice"),
        "volume": trained[-1]["volume"] if trained else None,
        "cycles": len(trained),
        "decisions": [dict(decision) for decision in decisions],
    }


def _shared(decisions: Sequence[Decision], key: str) -> str:
    names = list(dict.fromkeys(str(decision[key]) for decision in decisions))
    if len(names) > 1:
        raise InputError(f"the decisions are of several runs: {key} is {' and '.join(names)}")
    return names[0]


def _check_order(decisions: Sequence[Decision]) -> None:
    volumes = [decision["volume"] for decision in decisions]
    if volumes != sorted(set(volumes)):
        raise InputError(f"the decisions are not in the order of their volumes: {volumes}")
    for decision in decisions[:-1]:
        if decision["verdict"] != "expand":
            raise InputError(f"volume {decision['volume']} is {decision['verdict']}: no decision comes after it")
    last = decisions[-1]
    if last["verdict"] not in ("converged", "exhausted"):
        raise InputError(f"volume {last['volume']}: the verdict is {last['verdict']!r}: the run has not ended")
