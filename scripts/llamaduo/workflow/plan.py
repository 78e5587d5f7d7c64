"""What a dry-run tells: what would run, what of it again and why, and the GPU hours and dollars that it comes to."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING

from tabulate import tabulate

from llamaduo.config.root import Config
from llamaduo.service.prompts import Prompts
from llamaduo.workflow.layout import Results, State, baseline_step, judging_step, split_of_subject, synthesis_step

if TYPE_CHECKING:
    from llamaduo.estimate.steps import Expected
    from llamaduo.estimate.work import Line

EXAMPLES_SHOWN = 5
# The steps whose calls are charged: the service's role, the wildcard that names it, the step's name.
_GRADES = ("judge", "judge", judging_step)
_PAIRS = ("generator", "generator", synthesis_step)
_OWN_RESPONSES = ("baseline", "service", baseline_step)
CHARGED: Mapping[str, tuple[str, str, Callable[..., str]]] = {
    "synthesize": _PAIRS,
    "submit_synthesis": _PAIRS,
    "respond_service": _OWN_RESPONSES,
    "submit_responses": _OWN_RESPONSES,
    "judge": _GRADES,
    "submit_grades": _GRADES,
}
ABOUT_GPU_HOURS = (
    "GPU hours: what the jobs may use at most; behind a decision or a pool's yield there may be more steps."
)
ABOUT_DOLLARS = """Dollars: an estimate as by `snakemake estimate`, from what is on this machine; nobody was asked.
What stands in the journals is not paid for again: of two figures, the first is right if all of it still fits what these
steps ask, the second if none of it does. Batches are charged where they are submitted.
"""


@dataclass(frozen=True)
class PlannedStep:
    """A step that would run.

    `outputs`: those that exist already. `reasons`: why it would run, in words. `submitted`: whether it is a job on a
    cluster. `gpu_hours`: its GPUs for the whole of its run time. `charge`: what it comes to if
    its journal's answers are all of use, and if none is; None where it is not charged.
    `slots`: by service slot, its share of the steps that may ask the service at once. `request`: what all tasks of an
    array must have in common.
    """

    rule: str
    outputs: tuple[str, ...]
    reasons: tuple[str, ...]
    submitted: bool
    gpu_hours: float = 0.0
    charge: "tuple[Line, Line] | None" = None
    slots: tuple[tuple[str, float], ...] = ()
    request: object = None


class Charges:
    """What charged steps come to, by what is on this machine; nobody is asked.

    Raises `InputError` for a coverage dataset on this machine that cannot be read.
    """

    def __init__(self, config: Config, prompts: Prompts, results: Results, state: State) -> None:
        from llamaduo.estimate.steps import step_estimate

        self._state, self._estimate = state, step_estimate(config, prompts, results.root)

    def of(self, rule: str, names: Mapping[str, str], reworded: Callable[[], bool]) -> "tuple[Line, Line]":
        """A step's charge if its journal's answers are all of use, and if none is.

        `names`: its wildcards. `reworded`: whether its prompts have changed, so that no answer fits any more.
        """
        from llamaduo.estimate.steps import answers_held

        held = answers_held(self._state.journal(step_name(rule, names)))
        expected = self._expected(rule, names)
        return expected.left(0 if held and reworded() else held), expected.line

    def _expected(self, rule: str, names: Mapping[str, str]) -> "Expected":
        from llamaduo.estimate.steps import AskedStep

        role, wildcard, _ = CHARGED[rule]
        task = names["task"] if "task" in names else split_of_subject(names["subject"])[1]
        return self._estimate(AskedStep(role, task, names[wildcard], int(names.get("chunk", 0))))


def step_name(rule: str, names: Mapping[str, str]) -> str:
    """The name of a charged step, the place of its journal."""
    make = CHARGED[rule][2]
    return make(**{name: names[name] for name in signature(make).parameters})


def plan_table(steps: Sequence[PlannedStep], order: Iterable[str]) -> str:
    """The steps by rule, in the given order of rules, and their total."""
    planned = {step.rule for step in steps}
    rows = []
    for rule in [one for one in order if one in planned]:
        alike = [step for step in steps if step.rule == rule]
        why = Counter(reason for step in alike for reason in step.reasons)
        told = ", ".join(f"{reason} ({count})" for reason, count in why.most_common())
        where = "" if alike[0].submitted else "beside Snakemake"
        hours = sum(step.gpu_hours for step in alike)
        rows.append([rule, len(alike), _again(alike), where, f"{hours:,.0f}" if hours else "", _dollars(alike), told])
    submitted, hours = sum(step.submitted for step in steps), sum(step.gpu_hours for step in steps)
    total = ["total", len(steps), _again(steps), f"{submitted} on a cluster", f"{hours:,.0f}", _dollars(steps), ""]
    headers = ["step", "count", "again", "where", "GPU hours asked", "dollars, about", "why"]
    return tabulate([*rows, total], headers, disable_numparse=True)


def again_lines(steps: Sequence[PlannedStep]) -> list[str]:
    """Some of the steps that would make again what exists."""
    again = [step for step in steps if step.outputs]
    lines = [f"again: {one.rule}: {' '.join(one.outputs)}: {', '.join(one.reasons)}" for one in again[:EXAMPLES_SHOWN]]
    more = len(again) - EXAMPLES_SHOWN
    return [*lines, f"again: and {more} more"] if more > 0 else lines


def submissions(steps: Iterable[PlannedStep], array_limit: int, places: Mapping[str, float]) -> int:
    """How few submissions steps can be: those of a kind that are ready together are one array.

    Of steps that ask the same service only so many are ready together as its `places` let through, one as it comes.
    """
    alike: dict[object, list[PlannedStep]] = {}
    for step in steps:
        if step.submitted:
            alike.setdefault((step.rule, step.request), []).append(step)
    least = 0
    for kind in alike.values():
        taken: Counter[str] = Counter()
        for step in kind:
            taken.update(dict(step.slots))
        rounds = [taken[slot] / (places.get(slot) or 1) for slot in taken]
        least += math.ceil(max(len(kind) / array_limit, *rounds, 0))
    return least


def _again(steps: Sequence[PlannedStep]) -> int | str:
    return sum(bool(step.outputs) for step in steps) or ""


def _dollars(steps: Sequence[PlannedStep]) -> str:
    """The dollars of steps, between their two bounds; empty where none is charged."""
    from llamaduo.estimate.table import added, between, dollars

    bounds = [step.charge for step in steps if step.charge is not None]
    return between([dollars(added(lines)) for lines in zip(*bounds, strict=True)]) if bounds else ""
