"""The whole config: its sections, and the rules that hold between them."""

import re
from collections.abc import Iterable
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails

from llamaduo.config.base import PathText, Section
from llamaduo.config.coverage import ALL_CATEGORIES, CoverageSettings, TaskSettings
from llamaduo.config.curation import CurationSettings
from llamaduo.config.decision import DecisionSettings, MetricsSettings
from llamaduo.config.estimate import EstimateSettings
from llamaduo.config.inference import InferenceSettings
from llamaduo.config.judging import JudgingSettings
from llamaduo.config.models import ModelSettings
from llamaduo.config.resources import ResourceSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.config.synthesis import SynthesisSettings
from llamaduo.config.training import TrainingSettings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
FOLDER = re.compile(r"[A-Za-z0-9._/+-]+")
# Stand where a run's path has its generator: volume 0 has none, and neither has a model that was tuned elsewhere.
WITHOUT_GENERATOR = "coverage"
TUNED_ELSEWHERE = "elsewhere"


class Baselines(Section):
    """What the local models are compared with, graded in the same way."""

    services: list[str] | None = None
    """Service LLMs whose own responses to the test prompts are graded; null: of each task the service that must be
    matched and its generators."""
    untuned: bool = True
    """Whether the untuned models' responses are graded too."""


class Override(Section):
    """Settings that differ for some models, tasks or volumes. Later overrides win over earlier ones."""

    models: list[str] | None = None
    """The models it holds for. Default: all."""
    tasks: list[str] | None = None
    """The tasks it holds for. Default: all."""
    from_volume: int = Field(default=0, ge=0)
    """The smallest volume it holds for."""
    to_volume: int | None = Field(default=None, ge=0)
    """The largest volume it holds for. Default: no bound."""
    training: dict[str, Any] = Field(default={})
    """Keys of `training` and their values."""
    inference: dict[str, Any] = Field(default={})
    """Keys of `inference` and their values."""

    @field_validator("training")
    @classmethod
    def _data_is_shared(cls, training: dict[str, Any]) -> dict[str, Any]:
        if "include_train" in training:
            raise ValueError(
                "include_train is about the datasets, which all models share; set training.include_train for all"
            )
        for key in ("continuations", "failures"):
            if key in training:
                raise ValueError(f"{key} is the same for all runs; set training.{key}")
        return training

    def holds(self, task: str, model: str, volume: int) -> bool:
        """Whether this override applies to a cycle of a run."""
        return (
            (self.models is None or model in self.models)
            and (self.tasks is None or task in self.tasks)
            and self.from_volume <= volume
            and (self.to_volume is None or volume <= self.to_volume)
        )


class Config(Section):
    """The config of the workflow: which feature moves from which service LLM to which local models, and how."""

    results: str = "results"
    """The folder of all artifacts."""
    state: str = "state"
    """The folder of what was paid for or takes hours: journals, responses, training checkpoints. Never deleted."""
    seed: int = Field(default=42, ge=0)
    """The seed of the order in which a generator is shown seeds. Splits, training and inference have their own."""
    coverage: CoverageSettings
    """Where the coverage dataset comes from and how it is read."""
    tasks: dict[str, TaskSettings] = Field(min_length=1)
    """The tasks by name: categories of the coverage dataset, generators and volumes."""
    services: dict[str, ServiceSettings] = Field(min_length=1)
    """The service LLMs by name."""
    models: dict[str, ModelSettings] = Field(min_length=1)
    """The local LLMs by name."""
    judges: list[str] = Field(min_length=1)
    """The services that grade."""
    prompts: PathText = "config/prompts.toml"
    """The file with the wording of the prompts for judges and generators. The default is the workflow's own where the
    current folder has no such file."""
    prices: PathText = "config/prices.yaml"
    """The file with what service LLMs charge; services.NAME.price goes before it. The default: as for prompts."""
    budget_usd: float | None = Field(default=None, ge=0)
    """Most US dollars that all services of this workflow may charge, over all its runs; null: no bound."""
    baselines: Baselines = Baselines()
    synthesis: SynthesisSettings = SynthesisSettings()
    curation: CurationSettings = CurationSettings()
    training: TrainingSettings = TrainingSettings()
    inference: InferenceSettings = InferenceSettings()
    judging: JudgingSettings = JudgingSettings()
    metrics: MetricsSettings = MetricsSettings()
    decision: DecisionSettings = DecisionSettings()
    estimate: EstimateSettings = EstimateSettings()
    resources: ResourceSettings = ResourceSettings()
    overrides: list[Override] = Field(default=[])
    """Hyperparameters by model, task and volume."""

    @field_validator("tasks", "services", "models")
    @classmethod
    def _names_fit_into_paths(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if not NAME.fullmatch(name):
                raise ValueError(f"the name {name!r} becomes part of paths: letters, digits, '.', '_' and '-' only")
            if name in (WITHOUT_GENERATOR, TUNED_ELSEWHERE):
                raise ValueError(f"the name {name!r} is reserved; choose another")
        return value

    @field_validator("results", "state")
    @classmethod
    def _folders_fit_into_commands(cls, value: str) -> str:
        if not FOLDER.fullmatch(value) or value.endswith("/"):
            raise ValueError("a folder of letters, digits, '.', '_', '+', '-' and '/', without a slash at its end")
        return value

    @field_validator("services")
    @classmethod
    def _services_are_told_apart(cls, services: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, str] = {}
        for name in services:
            other = found.setdefault(re.sub(r"[.-]", "_", name), name)
            if other != name:
                raise ValueError(
                    f"{other!r} and {name!r} differ only by '.', '-' or '_', which the resource that keeps the steps "
                    "of one service apart cannot show; choose another name for one of them"
                )
        return services

    @field_validator("judges")
    @classmethod
    def _each_judge_once(cls, judges: list[str]) -> list[str]:
        if len(set(judges)) < len(judges):
            raise ValueError(f"one is named twice: {', '.join(judges)}")
        return judges

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        _check_known("judges", self.judges, self.services, "services")
        _check_known("baselines.services", self.baselines.services or [], self.services, "services")
        for name, task in self.tasks.items():
            _check_known(f"tasks.{name}.generators", task.generators, self.services, "services")
            _check_known(f"tasks.{name}.service", [task.reference], self.services, "services")
            _check_known(f"tasks.{name}.forbidden_services", task.forbidden_services, self.services, "services")
        for number, override in enumerate(self.overrides):
            _check_known(f"overrides.{number}.models", override.models or [], self.models, "models")
            _check_known(f"overrides.{number}.tasks", override.tasks or [], self.tasks, "tasks")
        if both := set(self.models) & set(self.services):
            raise ValueError(f"models and services share the name {min(both)!r}: their baselines share a folder")
        return self

    @model_validator(mode="after")
    def _every_task_is_judged(self) -> Self:
        for name, task in self.tasks.items():
            if not self.judges_of(name):
                raise ValueError(
                    f"tasks.{name}.forbidden_services: forbids every judge ({', '.join(self.judges)}); at least one "
                    "must remain, so allow one of them or add another to judges"
                )
            for generator in task.generators:
                if generator in task.forbidden_services:
                    raise ValueError(
                        f"tasks.{name}.forbidden_services: {generator!r} is one of the task's generators, and would be "
                        "shown its train split; remove it from one of the two"
                    )
            if task.reference in task.forbidden_services:
                raise ValueError(
                    f"tasks.{name}.forbidden_services: {task.reference!r} is the service to be matched, and would be "
                    "asked the test prompts; remove it, or name another under service"
                )
        return self

    @model_validator(mode="after")
    def _overrides_are_valid(self) -> Self:
        for number, override in enumerate(self.overrides):
            for name, kind in (("training", TrainingSettings), ("inference", InferenceSettings)):
                try:
                    merged(getattr(self, name), getattr(override, name), kind)
                except ValidationError as error:
                    raise _below(("overrides", number, name), error) from error
        return self

    @model_validator(mode="after")
    def _every_cycle_has_data(self) -> Self:
        if not self.training.include_train:
            for name, task in self.tasks.items():
                if 0 in task.volumes:
                    raise ValueError(
                        f"tasks.{name}.volumes: volume 0 trains on the train split alone, which "
                        "training.include_train leaves out; remove the 0 or include the train split"
                    )
        return self

    @model_validator(mode="after")
    def _decision_uses_what_is_computed(self) -> Self:
        if self.decision.zeta not in self.metrics.zeta:
            raise ValueError(f"decision.zeta: {self.decision.zeta:g} is not one of metrics.zeta: {self.metrics.zeta}")
        _check_known("decision.per_metric", self.decision.per_metric, self.judging.metrics, "judging.metrics")
        counted = [self.decision.per_metric.get(metric, self.decision.epsilon) for metric in self.judging.metrics]
        if all(epsilon.is_empty for epsilon in counted):
            raise ValueError(
                "decision: no metric of judging.metrics has a threshold: mean and coverage are left out for each of "
                f"{', '.join(self.judging.metrics)}; at least one must remain in epsilon or per_metric"
            )
        return self

    def runs(self) -> list[tuple[str, str, str]]:
        """All runs: task, generator, model."""
        return [
            (task, generator, model)
            for task, settings in self.tasks.items()
            for generator in settings.generators
            for model in self.trained_models()
        ]

    def trained_models(self) -> list[str]:
        """The names of the models that the workflow fine-tunes."""
        return [name for name, model in self.models.items() if model.kind == "base"]

    def models_tuned_elsewhere(self) -> list[str]:
        """The names of the models that are judged, not trained."""
        return [name for name, model in self.models.items() if model.kind != "base"]

    def topic_of(self, task: str) -> str:
        """What a task is about, as the generator is told."""
        settings = self.tasks[task]
        named = [category for category in settings.categories if category != ALL_CATEGORIES]
        return settings.topic or ", ".join(named) or task

    def judges_of(self, task: str) -> list[str]:
        """The services that grade a task's responses: the judges, without those that the task forbids."""
        return [judge for judge in self.judges if judge not in self.tasks[task].forbidden_services]

    def baseline_services(self, task: str) -> list[str]:
        """The services whose own responses to a task's test prompts are graded; none that the task forbids."""
        named = self.baselines.services
        if named is None:
            named = [self.tasks[task].reference, *self.tasks[task].generators]
        return [name for name in dict.fromkeys(named) if name not in self.tasks[task].forbidden_services]

    def training_for(self, task: str, model: str, volume: int) -> TrainingSettings:
        """The training settings of one cycle, overrides applied."""
        settings = self.training
        for override in self.overrides:
            if override.holds(task, model, volume):
                settings = merged(settings, override.training, TrainingSettings)
        return settings

    def inference_for(self, task: str, model: str, volume: int) -> InferenceSettings:
        """The inference settings of one cycle, overrides applied."""
        settings = self.inference
        for override in self.overrides:
            if override.holds(task, model, volume):
                settings = merged(settings, override.inference, InferenceSettings)
        return settings


def merged(settings: Section, changes: dict[str, Any], kind: type[Any]) -> Any:
    """`settings` with some keys changed, validated again; nested sections are merged key by key."""

    def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
        both = {
            key: merge(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
            for key, value in over.items()
        }
        return {**base, **both}

    return kind.model_validate(merge(settings.model_dump(), changes))


def _check_known(key: str, names: Iterable[str], known: Iterable[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{key}: {name!r} is not one of the {what}: {', '.join(known)}")


def _below(place: tuple[str | int, ...], error: ValidationError) -> ValidationError:
    """The same error with its keys named from the top of the config."""
    details = [
        InitErrorDetails(
            type=problem["type"], loc=(*place, *problem["loc"]), input=problem["input"], ctx=problem.get("ctx", {})
        )
        for problem in error.errors(include_url=False)
    ]
    return ValidationError.from_exception_data(error.title, details)
