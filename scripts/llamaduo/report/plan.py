"""What the resolved config asks for: the runs to expect, and who is simulated."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from llamaduo.cli.errors import InputError
from llamaduo.config.decision import DecisionSettings
from llamaduo.config.load import validate
from llamaduo.config.models import ModelSettings
from llamaduo.config.root import Config
from llamaduo.config.services import ServiceSettings
from llamaduo.storage.files import read_json


@dataclass(frozen=True)
class RunName:
    """One run: what converges or does not."""

    task: str
    generator: str
    model: str

    def __str__(self) -> str:
        return f"{self.task} / {self.generator} / {self.model}"


@dataclass(frozen=True)
class Task:
    """A task of the config: its generators, the volumes of its cycles, ascending, and who is compared with it.

    `reference` is the service LLM that must be matched, `baseline_services` all whose own responses are graded,
    `judges` those that the task allows.
    """

    name: str
    generators: tuple[str, ...]
    volumes: tuple[int, ...]
    reference: str
    baseline_services: tuple[str, ...]
    judges: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The parts of the config that a report speaks of, as the workflow reads them. Names keep the config's order.

    `trained` are the models that the workflow fine-tunes, `judged_only` those that were tuned elsewhere.
    """

    tasks: Mapping[str, Task]
    services: Mapping[str, ServiceSettings]
    models: Mapping[str, ModelSettings]
    trained: tuple[str, ...]
    judged_only: tuple[str, ...]
    judges: tuple[str, ...]
    metrics: tuple[str, ...]
    zeta: tuple[float, ...]
    decision: DecisionSettings
    untuned: bool
    confidence: float
    samples: int
    grades: int

    def runs(self) -> list[RunName]:
        """Tasks times generators times the models that are trained, in the config's order."""
        return [
            RunName(task.name, generator, model)
            for task in self.tasks.values()
            for generator in task.generators
            for model in self.trained
        ]

    def simulated(self, names: Iterable[str]) -> list[str]:
        """Those of the given names that are of simulated services, without repeats, in the given order."""
        return [name for name in dict.fromkeys(names) if name in self.services and self.services[name].is_simulated]


def read_plan(path: Path) -> Plan:
    """The plan in a resolved config.

    Raises:
        InputError: the file is missing, is not JSON, or is no valid config.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file (the resolved config, as JSON)")
    try:
        values = read_json(path)
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    return make_plan(validate(values, str(path)))


def make_plan(config: Config) -> Plan:
    """The plan in a config."""
    return Plan(
        tasks={name: _task(name, config) for name in config.tasks},
        services=config.services,
        models=config.models,
        trained=tuple(config.trained_models()),
        judged_only=tuple(config.models_tuned_elsewhere()),
        judges=tuple(config.judges),
        metrics=tuple(config.judging.metrics),
        zeta=tuple(config.metrics.zeta),
        decision=config.decision,
        untuned=config.baselines.untuned,
        confidence=config.metrics.confidence,
        samples=config.inference.samples,
        grades=config.judging.grades,
    )


def _task(name: str, config: Config) -> Task:
    task, services = config.tasks[name], config.baseline_services(name)
    if config.decision.needs_service:
        services = list(dict.fromkeys([task.reference, *services]))  # the decisions rest on it
    judges = tuple(config.judges_of(name))
    return Task(name, tuple(task.generators), tuple(task.volumes), task.reference, tuple(services), judges)
