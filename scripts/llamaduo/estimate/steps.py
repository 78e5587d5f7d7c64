"""What one step that asks a service comes to, and how much of it is in its journal already."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from llamaduo.config.root import Config
from llamaduo.estimate.calls import Sizes, call_sizes
from llamaduo.estimate.data import TaskData, read_data
from llamaduo.estimate.measured import read_sizes
from llamaduo.estimate.work import Line, Stage, asked, grades_of_subject, own_responses
from llamaduo.service.prompts import Prompts
from llamaduo.synthesis.chunks import chunk_calls

STAGES: dict[str, Stage] = {"generator": "synthesis", "judge": "judging", "baseline": "service's responses"}
"""The stage that a service is asked in, by its role."""
TABLES_LOOKED_AT = 5
"""Measured steps per task, service and role: as many tell the size of a call as all of them do."""
BYTES_LOOKED_AT = 256_000
"""Of a longer journal, the number of answers is told by the length of those in its beginning."""


@dataclass(frozen=True)
class AskedStep:
    """A step that asks the service `service` in a role: generator, judge or baseline. `chunk`: of a generator."""

    role: str
    task: str
    service: str
    chunk: int | None = None


@dataclass(frozen=True)
class Expected:
    """What a step comes to from its start, and how many answers it brings."""

    line: Line
    answers: int

    def left(self, held: int) -> Line:
        """The same without the dollars of as many answers as are there already."""
        share = max(1 - held / self.answers, 0.0) if self.answers else 0.0
        return replace(self.line, dollars=None if self.line.dollars is None else self.line.dollars * share)


def step_estimate(config: Config, prompts: Prompts, results: Path) -> Callable[[AskedStep], Expected]:
    """A function that says what a step of this config comes to, by what is on this machine; it asks nobody.

    Raises `InputError` for a coverage dataset on this machine that cannot be read.
    """
    data = read_data(config, results)
    sizes = call_sizes(config, prompts, data, read_sizes(results, TABLES_LOOKED_AT))

    @cache
    def estimate(step: AskedStep) -> Expected:
        return expected(step, config, data[step.task], sizes)

    return estimate


def expected(step: AskedStep, config: Config, data: TaskData, sizes: Sizes) -> Expected:
    """What one step comes to. `data`: of its task; `sizes`: of the calls of the config."""
    if step.role == "judge":
        calls, answers = grades_of_subject(config, step.service, data)
    elif step.role == "baseline":
        calls, answers = own_responses(config, step.service, data)
    else:
        calls = answers = len(chunk_calls(step.chunk or 0, config.synthesis))
    line = Line(STAGES[step.role], step.task, step.service, jobs=1)
    size = sizes[step.task, step.service, step.role]
    return Expected(asked(config.services[step.service], size, line, calls, answers), answers)


def answers_held(journal: Path) -> int:
    """About how many answers stand in a journal; 0 where there is none."""
    try:
        with journal.open("rb") as file:
            start = file.read(BYTES_LOOKED_AT)
        size = journal.stat().st_size
    except OSError:
        return 0
    lines = start.count(b"\n")
    return lines if size <= len(start) else round(size * max(lines, 1) / len(start))
