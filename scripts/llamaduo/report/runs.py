"""What became of every run that the config asks for: cycles, verdict, and what is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llamaduo.config.root import TUNED_ELSEWHERE
from llamaduo.report.cycles import Cycle, gap, read_cycle, read_elsewhere
from llamaduo.report.plan import Plan, RunName
from llamaduo.report.reading import Reader

UNFINISHED, NOT_STARTED = "unfinished", "not started"


@dataclass(frozen=True)
class Deployment:
    """A deployed model: where it lies, and what the check of merged against unmerged logits said."""

    path: str
    verification: Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One run. `volume` is the last one that was trained on, `trained` the number of cycles up to it.

    `cycles` holds every volume that has something to show, a sweep's later ones included; `missing` says what keeps
    the run from its end, and what of an earlier verdict is left. `deployment` is None unless the run has converged.
    """

    name: RunName
    verdict: str
    reason: str | None
    advice: str | None
    volume: int | None
    trained: int
    cycles: tuple[Cycle, ...]
    missing: tuple[str, ...]
    deployment: Deployment | None

    @property
    def last(self) -> Cycle | None:
        """The cycle that the verdict rests on: that of the last volume trained on."""
        return next((cycle for cycle in self.cycles if cycle.volume == self.volume), None)

    @property
    def tuned_elsewhere(self) -> bool:
        """Whether the model was only judged, not trained."""
        return self.name.generator == TUNED_ELSEWHERE


def read_runs(reader: Reader, plan: Plan) -> list[Run]:
    """Every run of the plan in the plan's order, then the models that were tuned elsewhere, as far as they exist."""
    trained = [_read_run(reader, plan, name) for name in plan.runs()]
    elsewhere = [
        _read_elsewhere(reader, plan, RunName(task, TUNED_ELSEWHERE, model))
        for task in plan.tasks
        for model in plan.judged_only
    ]
    return trained + elsewhere


def _read_run(reader: Reader, plan: Plan, name: RunName) -> Run:
    cycles = [read_cycle(reader, name, volume) for volume in plan.tasks[name.task].volumes]
    closed = _closing_index(cycles)
    walked = cycles if closed is None else cycles[: closed + 1]
    trained = [cycle for cycle in walked if cycle.trained]
    last = (cycles[closed].decision if closed is not None else None) or {}
    deployed = _read_deployment(reader, name)
    converged = last.get("verdict") == "converged"
    missing = _missing(cycles, closed, plan.tasks[name.task].judges)
    verdict_file = reader.layout.verdict(name.task, name.generator, name.model)
    if last and not verdict_file.is_file():
        missing.append("the run has ended, but its verdict.json is not there")
    if converged and deployed is None:
        missing.append("converged, but not deployed")
    if deployed is not None and not converged:
        missing.append(f"{deployed.path} is still there from an earlier verdict, which does not hold any more")
    started = any(cycle.exists or cycle.folder.is_dir() for cycle in cycles)
    return Run(
        name=name,
        verdict=str(last["verdict"]) if last else UNFINISHED if started else NOT_STARTED,
        reason=last.get("reason"),
        advice=last.get("advice"),
        volume=trained[-1].volume if trained else None,
        trained=len(trained),
        cycles=tuple(cycle for cycle in cycles if cycle.exists),
        missing=tuple(missing),
        deployment=deployed if converged else None,
    )


def _read_elsewhere(reader: Reader, plan: Plan, name: RunName) -> Run:
    cycle = read_elsewhere(reader, name)
    decision = cycle.decision or {}
    started = cycle.exists or cycle.folder.is_dir()
    return Run(
        name=name,
        verdict=str(decision["verdict"]) if decision else UNFINISHED if started else NOT_STARTED,
        reason=decision.get("reason"),
        advice=decision.get("advice"),
        volume=None,
        trained=0,
        cycles=(cycle,) if cycle.exists else (),
        missing=() if decision else (gap(cycle, plan.tasks[name.task].judges),),
        deployment=None,
    )


def _closing_index(cycles: Sequence[Cycle]) -> int | None:
    for index, cycle in enumerate(cycles):
        if cycle.decision is None:
            return None
        if cycle.closes:
            return index
    return None


def _missing(cycles: Sequence[Cycle], closed: int | None, judges: Sequence[str]) -> list[str]:
    """What is not there: of the next cycle of an open run, and of later cycles that a sweep has begun."""
    after = len(cycles) if closed is None else closed + 1
    waiting = next((cycle for cycle in cycles[:after] if cycle.decision is None), None)
    begun = [cycle for cycle in cycles[after:] if cycle.folder.is_dir() and not cycle.exists]
    return [gap(cycle, judges) for cycle in ([waiting] if waiting else []) + begun]


def _read_deployment(reader: Reader, name: RunName) -> Deployment | None:
    """The deployed model; the verification is written last, so without it there is none."""
    folder = reader.layout.deployment(name.task, name.generator, name.model)
    verification = reader.json(folder / "verification.json")
    return None if verification is None else Deployment((folder / "model").as_posix(), verification)
