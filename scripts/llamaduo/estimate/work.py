"""What a plan comes to, stage by stage: jobs, calls, tokens, dollars, GPU hours and disk.

Two bounds, since how far the loop goes is decided while it runs: in the lower one every run converges after its first
volume and curation keeps much, in the upper one every run needs every volume and curation keeps little.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from llamaduo.config.root import WITHOUT_GENERATOR, Config
from llamaduo.config.services import ServiceSettings
from llamaduo.estimate.calls import CallSize, Sizes, dollars_of
from llamaduo.estimate.data import TaskData
from llamaduo.estimate.gpu_hours import decoding_hours, loading_hours, training_hours
from llamaduo.estimate.model_size import billion_parameters, training_bytes, weights_bytes
from llamaduo.synthesis.chunks import MOST_OVERSHOOT, calls_before, first_chunks, most_chunks

Bound = Literal["lower", "upper"]
Stage = Literal[
    "coverage",
    "synthesis",
    "curation",
    "weights of models",
    "fine-tuning",
    "responding",
    "service's responses",
    "judging",
    "decision",
    "deployment",
    "report",
]
STAGES: tuple[Stage, ...] = get_args(Stage)
"""In the order of the loop."""
BOUNDS: tuple[Bound, ...] = ("lower", "upper")

BYTES_PER_TOKEN = 5
"""A token's text and its share of the columns around it."""
BYTES_PER_RECORD = 900
"""A journal's record without its texts."""


@dataclass(frozen=True)
class Line:
    """What one stage comes to, by task and by who does it: a service LLM, or a local LLM under `who`.

    `dollars`: US dollars; None where no price is known. `disk`: bytes.
    """

    stage: Stage
    task: str
    who: str
    simulated: bool = False
    jobs: int = 0
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    dollars: float | None = 0.0
    gpu_hours: float = 0.0
    disk: float = 0.0


@dataclass(frozen=True)
class Work:
    """All lines of one bound."""

    bound: Bound
    lines: tuple[Line, ...]


def estimate(
    config: Config, data: dict[str, TaskData], sizes: Sizes, yields: dict[tuple[str, str], float]
) -> list[Work]:
    """The lower and the upper bound of a config's work, from its start.

    `yields`: measured shares of accepted pairs by task and generator; others are assumed.
    """
    return [Work(bound, tuple(_lines(config, data, sizes, yields, bound))) for bound in BOUNDS]


def own_responses(config: Config, service: str, data: TaskData) -> tuple[int, int]:
    """Calls and answers of a service's own responses to a task's test prompts."""
    prompts, samples = len(data.test), config.inference.samples
    return prompts * math.ceil(samples / config.services[service].samples_per_call), prompts * samples


def grades_of_subject(config: Config, judge: str, data: TaskData) -> tuple[int, int]:
    """Calls and answers of a judge for the responses of one cycle or baseline."""
    responses, grades = len(data.test) * config.inference.samples, config.judging.grades
    return responses * math.ceil(grades / config.services[judge].samples_per_call), responses * grades


def asked(service: ServiceSettings, size: CallSize, line: Line, calls: int, answers: int) -> Line:
    """A line with what so many calls of a size, that bring so many answers, come to."""
    tokens = calls * size.prompt + answers * size.answer
    return replace(
        line,
        simulated=service.is_simulated,
        calls=calls,
        prompt_tokens=round(calls * size.prompt),
        completion_tokens=round(answers * size.answer),
        dollars=dollars_of(calls, answers, size, service.price, service.mode == "batch"),
        disk=tokens * BYTES_PER_TOKEN + answers * BYTES_PER_RECORD,
    )


def _lines(
    config: Config, data: dict[str, TaskData], sizes: Sizes, yields: dict[tuple[str, str], float], bound: Bound
) -> Iterator[Line]:
    loaded: set[str] = set()
    for task in config.tasks:
        plan = _Plan(config, task, data[task], sizes, bound)
        yield Line("coverage", task, "", jobs=1)
        for generator in config.tasks[task].generators:
            yield from plan.synthesis(generator, yields.get((task, generator)))
        for model in config.models:
            yield from plan.local(model, loaded)
        for name in config.baseline_services(task):
            yield plan.baseline(name)
        for judge in config.judges_of(task):
            yield plan.judging(judge)
        yield plan.verdicts()
    yield Line("report", "", "", jobs=1)


class _Plan:
    """One task of the plan, under one bound."""

    def __init__(self, config: Config, task: str, data: TaskData, sizes: Sizes, bound: Bound) -> None:
        self._config, self._task, self._data, self._sizes, self._bound = config, task, data, sizes, bound
        volumes = config.tasks[task].volumes
        self._volumes = volumes[:1] if bound == "lower" else volumes

    def synthesis(self, generator: str, measured: float | None) -> Iterator[Line]:
        volumes = [volume for volume in self._volumes if volume]
        if not volumes:
            return
        settings, assumed = self._config.synthesis, self._config.estimate
        lower = self._bound == "lower"
        share = measured or (assumed.highest_yield if lower else assumed.lowest_yield)
        # What rounds of chunks may overshoot the need by is paid for too.
        need = max(volumes) / share * (1.0 if lower else 1 + MOST_OVERSHOOT)
        most = most_chunks(max(volumes), settings)
        chunks = min(first_chunks(math.ceil(need), settings), most)
        calls = calls_before(chunks, settings)
        yield self._asked("synthesis", generator, "generator", chunks, calls, calls)
        rows = calls * settings.pairs_per_call + sum(volumes)
        jobs = 3 * len(volumes)  # the pool, its measurement and a dataset, for each volume
        disk = rows * self._data.row_tokens * BYTES_PER_TOKEN
        yield Line("curation", self._task, generator, jobs=jobs, disk=disk)

    def local(self, model: str, loaded: set[str]) -> Iterator[Line]:
        """Training and responding of one local LLM. `loaded`: models whose weights are counted already."""
        config, settings = self._config, self._config.estimate
        size = billion_parameters(model, config.models[model], settings)
        if model not in loaded:
            loaded.add(model)
            yield Line("weights of models", "", model, disk=weights_bytes(size))
        cycles = self._cycles(model)
        hours = disk = 0.0
        for _, volume in cycles:
            training = config.training_for(self._task, model, volume)
            hours += training_hours(size, len(self._data.train), volume, self._data.row_tokens, training, settings)
            disk += training_bytes(size, training)
        if cycles:
            yield Line("fine-tuning", self._task, model, jobs=len(cycles), gpu_hours=hours, disk=disk)
        answered = len(cycles) + self._as_it_is(model)
        tokens = len(self._data.test) * config.inference.samples * self._data.response_tokens
        hours = answered * decoding_hours(size, tokens, settings)
        disk = answered * tokens * BYTES_PER_TOKEN * 3  # prompt and reference stand beside each response
        yield Line("responding", self._task, model, jobs=answered, gpu_hours=hours, disk=disk)
        if cycles:
            # Every run may converge, if only after its last volume, and what converges is deployed.
            runs = len(self._config.tasks[self._task].generators)
            load = runs * loading_hours(settings)
            disk = runs * weights_bytes(size)
            yield Line("deployment", self._task, model, jobs=runs, gpu_hours=load, disk=disk)

    def baseline(self, name: str) -> Line:
        return self._asked("service's responses", name, "baseline", 1, *own_responses(self._config, name, self._data))

    def judging(self, judge: str) -> Line:
        subjects = self._subjects()
        calls, answers = grades_of_subject(self._config, judge, self._data)
        return self._asked("judging", judge, "judge", subjects, subjects * calls, subjects * answers)

    def verdicts(self) -> Line:
        """Metrics of every subject, a decision for each cycle, and the end of every run."""
        cycles = sum(len(self._cycles(model)) for model in self._config.models)
        runs = len(self._config.tasks[self._task].generators) * len(self._config.trained_models())
        return Line("decision", self._task, "", jobs=self._subjects() + cycles + runs)

    def _asked(self, stage: Stage, name: str, role: str, jobs: int, calls: int, answers: int) -> Line:
        size = self._sizes[self._task, name, role]
        return asked(self._config.services[name], size, Line(stage, self._task, name, jobs=jobs), calls, answers)

    def _cycles(self, model: str) -> Sequence[tuple[str, int]]:
        """The trainings of a model: (generator, volume), volume 0 once for all generators."""
        if model not in self._config.trained_models():
            return []
        generators = self._config.tasks[self._task].generators
        return [
            (generator, volume)
            for volume in self._volumes
            for generator in (generators if volume else [WITHOUT_GENERATOR])
        ]

    def _as_it_is(self, model: str) -> int:
        """Whether a model answers without being trained here: as a baseline, or because it was tuned elsewhere."""
        return int(self._config.baselines.untuned or model not in self._config.trained_models())

    def _subjects(self) -> int:
        """What every judge grades: cycles and baselines."""
        local = sum(len(self._cycles(model)) + self._as_it_is(model) for model in self._config.models)
        return local + len(self._config.baseline_services(self._task))
