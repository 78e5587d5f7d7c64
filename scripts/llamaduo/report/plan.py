"""What the resolved config asks for: the runs to expect, and who is simulated."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.errors import InputError
from llamaduo.files import read_json


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

    `reference` is the service LLM that must be matched, `baseline_services` all whose own responses are graded.
    """

    name: str
    generators: tuple[str, ...]
    volumes: tuple[int, ...]
    reference: str | None
    baseline_services: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """The parts of the resolved config that a report speaks of. Names keep the config's order."""

    tasks: Mapping[str, Task]
    services: Mapping[str, Mapping[str, Any]]
    models: Mapping[str, Mapping[str, Any]]
    judges: tuple[str, ...]
    metrics: tuple[str, ...]
    zeta: tuple[float, ...]
    decision: Mapping[str, Any]
    untuned: bool
    confidence: float | None
    samples: int | None
    grades: int | None

    def runs(self) -> list[RunName]:
        """Tasks times generators times the models that are trained, in the config's order."""
        return [
            RunName(task.name, generator, model)
            for task in self.tasks.values()
            for generator in task.generators
            for model in self.trained()
        ]

    def trained(self) -> list[str]:
        """The models that this workflow trains; the others were tuned elsewhere and are only judged."""
        return [name for name, model in self.models.items() if _kind(model) == "base"]

    def judged_only(self) -> list[str]:
        """The models that were tuned elsewhere: adapters and merged models."""
        return [name for name, model in self.models.items() if _kind(model) != "base"]

    def simulated(self, names: Iterable[str]) -> list[str]:
        """Those of the given services that are simulated, without repeats, in the given order."""
        return [name for name in dict.fromkeys(names) if is_simulated(self.services.get(name, {}))]

    def decision_zeta(self) -> float | None:
        """The zeta that the decision's coverage criterion is about: named in the config, or the highest one."""
        zeta = self.decision.get("zeta")
        return float(zeta) if isinstance(zeta, int | float) else max(self.zeta, default=None)


def is_simulated(service: Mapping[str, Any]) -> bool:
    """Whether a service of the config is the simulated one, started in-process or at an address."""
    return bool(service.get("simulated")) or service.get("base_url") == "simulated"


def read_plan(path: Path) -> Plan:
    """The plan in a resolved config.

    Raises:
        InputError: the file is missing, is not JSON, or lacks the sections that name the runs.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file (the resolved config, as JSON)")
    try:
        config = read_json(path)
    except ValueError as error:
        raise InputError(f"{path}: not JSON: {error}") from error
    missing = [key for key in ("tasks", "models", "services") if not isinstance(config, dict) or key not in config]
    if missing:
        raise InputError(f"{path}: not a resolved config: {', '.join(missing)} missing")
    return make_plan(config)


def make_plan(config: Mapping[str, Any]) -> Plan:
    """The plan in a resolved config that was read already."""
    judging, inference, baselines = (_section(config, name) for name in ("judging", "inference", "baselines"))
    return Plan(
        tasks={name: _task(name, task, baselines) for name, task in config["tasks"].items()},
        services=config["services"],
        models=config["models"],
        judges=tuple(config.get("judges") or judging.get("judges") or ()),
        metrics=tuple(judging.get("metrics") or ()),
        zeta=tuple(float(zeta) for zeta in _section(config, "metrics").get("zeta") or ()),
        decision=_section(config, "decision"),
        untuned=bool(baselines.get("untuned", True)),
        confidence=_section(config, "metrics").get("confidence"),
        samples=inference.get("samples"),
        grades=judging.get("grades"),
    )


def _task(name: str, task: Mapping[str, Any], baselines: Mapping[str, Any]) -> Task:
    volumes = tuple(sorted(int(volume) for volume in task.get("volumes") or ()))
    generators = tuple(task.get("generators") or ())
    reference = task.get("service") or next(iter(generators), None)
    services = [name for name in (reference, *(baselines.get("services") or generators)) if name]
    return Task(name, generators, volumes, reference, tuple(dict.fromkeys(services)))


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = config.get(name)
    return section if isinstance(section, dict) else {}


def _kind(model: Mapping[str, Any]) -> str:
    return str(model.get("kind") or "base")
