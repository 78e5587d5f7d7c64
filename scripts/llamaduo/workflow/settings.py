"""The settings of every step of a config: what Snakemake compares, and the file that the step's program reads.

A kind of step has one view, and one file, for all steps that are about the same names, such as a task and a judge.
"""

import ast
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from llamaduo.config.asking import AskingStep
from llamaduo.config.base import Section, compared
from llamaduo.config.budget import BudgetSettings
from llamaduo.config.root import Config
from llamaduo.deployment.facts import CardFacts
from llamaduo.service.prompts import Prompts, for_metrics
from llamaduo.storage.canonical import canonical
from llamaduo.storage.files import write_text
from llamaduo.workflow.layout import Results, State
from llamaduo.workflow.steps import (
    AwaitStep,
    BaselineStep,
    CoverageStep,
    CurateStep,
    DatasetStep,
    DecideStep,
    DeployStep,
    FinetuneStep,
    JudgeStep,
    MeasureStep,
    MetricsStep,
    RespondStep,
    SynthesizeStep,
)

Names = tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """A kind of step: its program, the names that its settings are about, and how its view is made of a config."""

    program: str
    about: Names
    view: Callable[..., Section]
    """Makes the settings, of the values of `about`."""
    known: Iterable[Names] = ((),)
    """All values of `about` that a config knows."""


class Steps:
    """The steps of a config."""

    def __init__(self, config: Config, prompts: Prompts, results: Results, state: State) -> None:
        self._config, self._prompts = config, prompts
        self._results, self._state = results, state
        self._views: dict[tuple[str, Names], Section] = {}
        self._compared: dict[tuple[str, Names], str] = {}

    @cached_property
    def kinds(self) -> Mapping[str, Kind]:
        """All kinds of steps, by the name of a rule."""
        config = self._config
        tasks, services = [(task,) for task in config.tasks], [(name,) for name in config.services]
        pools = [(task, name) for task, settings in config.tasks.items() for name in settings.generators]
        cycles = [
            (task, model, str(volume))
            for task, settings in config.tasks.items()
            for model in config.models
            for volume in dict.fromkeys([0, *settings.volumes])
        ]
        deployed = [(*run, str(volume)) for run in config.runs() for volume in config.tasks[run[0]].volumes]
        cycle = ("task", "model", "volume")
        return {
            "read_coverage": Kind("coverage.py", ("task",), self._coverage, tasks),
            "synthesize": Kind("synthesize.py", ("task", "generator"), self._synthesize, pools),
            "curate": Kind("curate.py", ("task", "generator"), self._curate, pools),
            "measure_pool": Kind("measure_pool.py", (), self._measure),
            "build_dataset": Kind("build_dataset.py", (), self._dataset),
            "finetune": Kind("finetune.py", cycle, self._finetune, cycles),
            "respond": Kind("respond.py", cycle, self._respond, cycles),
            "respond_service": Kind("respond_service.py", ("service",), self._baseline, services),
            "judge": Kind("judge.py", ("judge",), self._judge, [(name,) for name in config.judges]),
            "await_batches": Kind("await_batches.py", ("service",), self._await, services),
            "compute_metrics": Kind("metrics.py", (), self._metrics),
            "decide": Kind("decide.py", (), self._decide),
            "deploy_model": Kind("deploy.py", ("task", "generator", "model", "volume"), self._deploy, deployed),
        }

    def view(self, kind: str, names: Names) -> Section:
        """The view of a step."""
        key = kind, names
        if key not in self._views:
            self._views[key] = self.kinds[kind].view(*names)
        return self._views[key]

    def compared(self, kind: str, names: Names) -> str:
        """What of a step's settings can change its result, as canonical text."""
        key = kind, names
        if key not in self._compared:
            self._compared[key] = canonical(compared(self.view(kind, names)))
        return self._compared[key]

    def file(self, kind: str, names: Names) -> Path:
        """The file that a step's program reads its settings from."""
        return self._results.settings(kind, names)

    def engine(self, task: str, model: str, volume: str = "0") -> str:
        """What computes a local LLM's responses."""
        return self._config.inference_for(task, model, int(volume)).engine

    def write(self) -> None:
        """Write the settings of all steps; files that hold them already are left alone."""
        for kind, one in self.kinds.items():
            for names in one.known:
                _write_changed(self.file(kind, names), self.view(kind, names).model_dump(mode="json"))

    # Views

    def _measure(self) -> MeasureStep:
        return MeasureStep(settings=self._config.synthesis)

    def _dataset(self) -> DatasetStep:
        return DatasetStep(include_train=self._config.training.include_train)

    def _metrics(self) -> MetricsStep:
        return MetricsStep(settings=self._config.metrics, metrics=self._config.judging.metrics)

    def _decide(self) -> DecideStep:
        return DecideStep(settings=self._config.decision)

    def _coverage(self, task: str) -> CoverageStep:
        return CoverageStep(settings=self._config.coverage, categories=self._config.tasks[task].categories)

    def _synthesize(self, task: str, generator: str) -> SynthesizeStep:
        config = self._config
        return SynthesizeStep(
            service=config.services[generator].of_one_step(),
            settings=config.synthesis,
            prompts=self._prompts.generator,
            topic=config.topic_of(task),
            seed=config.seed,
            asking=self._asking,
        )

    def _curate(self, task: str, generator: str) -> CurateStep:
        return CurateStep(settings=self._config.curation, state=self._state.curation(task, generator))

    def _finetune(self, task: str, model: str, volume: str) -> FinetuneStep:
        settings = self._config.training_for(task, model, int(volume))
        return FinetuneStep(model=self._config.models[model], settings=settings, state=self._state.checkpoints)

    def _respond(self, task: str, model: str, volume: str) -> RespondStep:
        settings = self._config.inference_for(task, model, int(volume))
        return RespondStep(model=self._config.models[model], settings=settings, state=self._state.responses)

    def _baseline(self, service: str) -> BaselineStep:
        settings = self._config.services[service].of_one_step()
        return BaselineStep(service=settings, samples=self._config.inference.samples, asking=self._asking)

    def _judge(self, judge: str) -> JudgeStep:
        config = self._config
        return JudgeStep(
            service=config.services[judge].of_one_step(),
            settings=config.judging,
            prompts=for_metrics(self._prompts.judge, config.judging.metrics, "judging.metrics"),
            asking=self._asking,
        )

    def _await(self, service: str) -> AwaitStep:
        return AwaitStep(service=self._config.services[service].of_one_step(), asking=self._asking)

    def _deploy(self, task: str, generator: str, model: str, volume: str) -> DeployStep:
        names = {"task": task, "generator": generator, "model": model}
        card = card_facts(self._config, task, generator, model, int(volume))
        return DeployStep(model=self._config.models[model], names=names, card=card)

    @cached_property
    def _asking(self) -> AskingStep:
        return AskingStep(
            journals=self._state.journals,
            costs=self._results.costs,
            batches=self._state.batches,
            budget=budget(self._config, self._state),
        )


def budget(config: Config, state: State) -> BudgetSettings | None:
    """What all steps of the workflow may spend; None without a bound."""
    if config.budget_usd is None:
        return None
    priced = [service for service in config.services.values() if service.price is not None]
    return BudgetSettings(
        dollars=config.budget_usd,
        folder=state.ledger,
        journals=state.journals,
        prices={f"{service.provider}/{service.model}": service.price for service in priced if service.price},
    )


def card_facts(config: Config, task: str, generator: str, model: str, volume: int) -> CardFacts:
    """What a model card says beside the artifacts."""
    judges = config.judges_of(task)
    services = {name: config.services[name] for name in dict.fromkeys([generator, *judges])}
    described = {name: f"{service.provider} {service.model}" for name, service in services.items()}
    sampling = config.models[model].generation.model_dump(mode="json", exclude_none=True)
    return CardFacts(
        coverage=config.coverage.source,
        generator=described[generator],
        judges={judge: described[judge] for judge in judges},
        simulated=[name for name, service in services.items() if service.is_simulated],
        settings={
            "inference": compared(config.inference_for(task, model, volume)) | sampling,
            "judging": compared(config.judging),
            **config.model_dump(mode="json", include={"metrics", "decision"}),
        },
    )


def report_settings(config: Config) -> str:
    """What of a config the report shows, as canonical text."""
    shown = {"tasks", "models", "judges", "judging", "metrics", "decision", "baselines"}
    services = {
        name: {"provider": service.provider, "model": service.model, "simulated": service.is_simulated}
        for name, service in config.services.items()
    }
    values = config.model_dump(mode="json", include=shown)
    return canonical({**values, "services": services, "samples": config.inference.samples})


def reworded(before: Sequence[str], now: str) -> bool:
    """Whether a step's prompts differ from those that it was run with, so that no recorded answer fits any more.

    `before`: params of the earlier run that are not those of now, as Python spells them. `now`: as of `compared`.
    """
    old = [text for spelt in before if isinstance(text := ast.literal_eval(spelt), str) and text.startswith("{")]
    return any(json.loads(text).get("prompts") != json.loads(now).get("prompts") for text in old)


def _write_changed(path: Path, values: Mapping[str, Any]) -> None:
    text = json.dumps(values, indent=2, ensure_ascii=False, sort_keys=True, allow_nan=False) + "\n"
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
