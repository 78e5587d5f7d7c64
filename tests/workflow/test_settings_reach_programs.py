"""Every key of the config reaches the program that reads it, at its default and at its other values.

The commands are those that the rules make, as a dry-run prints them; their options are read as the programs read them.
"""

from pathlib import Path
from typing import Any

import pytest
from commands import Command, commands_of
from pydantic import BaseModel
from schema_values import TEMPLATE, TEXT, other_values, packed
from workspace import REPOSITORY, new_workspace

from llamaduo.config.base import Section
from llamaduo.config.coverage import CoverageSettings
from llamaduo.config.curation import CurationSettings
from llamaduo.config.decision import DecisionSettings, MetricsSettings
from llamaduo.config.inference import InferenceSettings
from llamaduo.config.judging import JudgingSettings
from llamaduo.config.load import load as load_config
from llamaduo.config.load import validate
from llamaduo.config.models import ModelSettings
from llamaduo.config.root import Config
from llamaduo.config.services import ServiceSettings
from llamaduo.config.synthesis import SynthesisSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.service.prompts import JudgePrompts, PromptText, for_metrics, load
from llamaduo.storage.files import write_json

# Sections that programs get as a whole, by the name of the section in the config.
SECTIONS: dict[type[Section], str] = {
    CoverageSettings: "coverage",
    CurationSettings: "curation",
    DecisionSettings: "decision",
    InferenceSettings: "inference",
    JudgingSettings: "judging",
    MetricsSettings: "metrics",
    SynthesisSettings: "synthesis",
    TrainingSettings: "training",
}
# Sections for the rules, and for programs that read the whole config.
IN_WHOLE_CONFIG = ("baselines", "estimate", "resources")
# Keys that a program does not use: they act through a step's inputs, or in another step.
UNUSED: dict[str, dict[str, set[str]]] = {
    "finetune": {"settings": {"include_train", "warm_start"}, "model": {"generation"}},
    "synthesize": {"settings": {"minimum_yield"}},
    "submitting judge": {"settings": {"maximum_ungraded"}},
}
PROGRAMS = {
    *("coverage", "synthesize", "curate", "measure_pool", "build_dataset", "finetune"),
    *("respond", "respond_service", "judge", "metrics", "decide"),
}
HTTP = "http://127.0.0.1:9"
PRICE = {"prompt": 1.0, "completion": 2.0}
# Where keys may be set that not every service, or not every model, can have.
SERVICES: list[dict[str, Any]] = [
    {"provider": "openai", "model": "gpt-4o", "base_url": "simulated"},
    {"provider": "openai", "model": "gpt-4o", "price": PRICE},
    {"provider": "openai", "model": "gpt-4o", "base_url": "https://one.openai.azure.com"},
    {"provider": "gemini", "model": "gemini-2.5-flash", "base_url": HTTP, "simulated": True},
    {"provider": "gemini-vertex", "model": "gemini-2.5-flash"},
    {"provider": "anthropic", "model": "claude-sonnet-4-5"},
]
MODELS: list[dict[str, Any]] = [
    {"path": "owner/model"},
    {"path": "owner/adapter", "kind": "adapter", "base": "owner/base"},
    {"path": "owner/merged", "kind": "merged"},
]
# What a task's commands are made of, once, beside the sections.
TASK = {"generators": ["service0"], "volumes": [10], "topic": TEXT, "categories": [TEXT]}


def base_config(services: list[dict[str, Any]], models: list[dict[str, Any]]) -> dict[str, Any]:
    named = {f"service{number}": service for number, service in enumerate(services)}
    return {
        "coverage": {"source": "pairs.jsonl"},
        "tasks": {"support": {"generators": list(named), "volumes": [10]}},
        "services": named,
        "models": {f"model{number}": model for number, model in enumerate(models)},
        "judges": list(named),
    }


def configs() -> list[dict[str, Any]]:
    """The defaults, and the fewest configs that have every other value of every key."""
    plain = base_config(SERVICES[:1], MODELS[:1])
    service, model = ServiceSettings.model_validate(SERVICES[1]), ModelSettings.model_validate(MODELS[0])
    services = packed(other_values(service), SERVICES, ServiceSettings.model_validate)
    of_adapter = {("base",), ("base_revision",)}
    of_base = [line for line in other_values(model) if line[0] not in of_adapter | {("kind",), ("path",)}]
    of_others = [line for line in other_values(model) if line[0] in of_adapter]
    models = [
        *packed(of_base, MODELS[:1], ModelSettings.model_validate),
        *packed(of_others, MODELS[1:], ModelSettings.model_validate),
    ]
    # A model is known by its path.
    models = [{**model, "path": f"{model['path']} {number}"} for number, model in enumerate(models)]
    of_sections = (
        ((name, *key), values)
        for name in (*SECTIONS.values(), *IN_WHOLE_CONFIG)
        for key, values in other_values(getattr(Config.model_validate(plain), name))
        if (name, *key) != ("baselines", "services")  # names of services, as `judges`
    )
    changed = plain | {"tasks": {"support": TASK}, "seed": 7, "budget_usd": 5.0}
    return [plain, base_config(services, models), *packed(of_sections, [changed], Config.model_validate)]


CONFIGS = configs()


@pytest.mark.parametrize("values", CONFIGS, ids=["defaults", "services and models", *map(str, range(len(CONFIGS) - 2))])
def test_programs_get_the_settings_of_the_config(values: dict[str, Any], tmp_path: Path) -> None:
    workspace = new_workspace(tmp_path / "workspace")
    (workspace.folder / TEMPLATE).touch()
    workspace.write_config(values)
    config = validate(values, "config.yaml")

    commands = commands_of(workspace, *targets(config))

    assert {command.program for command in commands} - {"await_batches"} == PROGRAMS
    for command in commands:
        options = command.options()
        for name, value in expected(options, config).items():
            left_out = UNUSED.get(role_of(command, options), {}).get(name, set())
            assert plainly(options[name], left_out) == plainly(value, left_out), (command.program, name)


@pytest.mark.parametrize("values", CONFIGS)
def test_programs_that_read_the_whole_config_get_it_as_it_is(values: dict[str, Any], tmp_path: Path) -> None:
    config = validate(values, "config.yaml")
    write_json(tmp_path / "config.json", config.model_dump(mode="json"))

    assert load_config(tmp_path / "config.json") == config


def targets(config: Config) -> list[str]:
    """Files by which every step is planned: with every service in each of its roles, and every model."""
    service, model = "service0", config.trained_models()[0]
    cycle = f"results/runs/support/{service}/{{}}/volume-10"
    return [
        f"{cycle.format(model)}/decision.json",
        *(f"{cycle.format(name)}/responses.parquet" for name in config.trained_models()),
        *(f"results/baselines/support/{name}/responses.parquet" for name in config.models_tuned_elsewhere()),
        *(f"results/baselines/support/{name}/responses.parquet" for name in config.services),
        *(f"results/baselines/support/{service}/grades/{name}.parquet" for name in config.services),
        *(f"results/synthesis/support/{name}/chunk-0.parquet" for name in config.services),
    ]


def expected(options: dict[str, Any], config: Config) -> dict[str, Any]:
    """What the options of a program that come from the config must be, by their names."""
    found: dict[str, Any] = {}
    task = config.tasks["support"]
    prompts = load(REPOSITORY / config.prompts)
    service = next((options[name] for name in ("service_name", "judge", "generator") if options.get(name)), None)
    by_name = {
        "categories": task.categories,
        "topic": config.topic_of("support"),
        "seed": config.seed,
        "samples": config.inference.samples,
        "include_train": config.training.include_train,
        "metrics": config.judging.metrics,
    }
    for name, value in options.items():
        if type(value) in SECTIONS:
            found[name] = getattr(config, SECTIONS[type(value)])
        elif isinstance(value, ModelSettings):
            found[name] = next(model for model in config.models.values() if model.path == value.path)
        elif isinstance(value, ServiceSettings):
            found[name] = config.services[str(service)].of_one_step()
        elif isinstance(value, JudgePrompts):
            found[name] = for_metrics(prompts.judge, config.judging.metrics, "judging.metrics")
        elif isinstance(value, PromptText):
            found[name] = prompts.generator
        elif name == "budget" and config.budget_usd is not None:
            found[name] = value.model_copy(update={"dollars": config.budget_usd})
        elif name == "warm_start":
            assert value is None, "there is no volume before the first"
        elif name in by_name and not isinstance(value, Path):
            found[name] = by_name[name]
    return found


def role_of(command: Command, options: dict[str, Any]) -> str:
    return f"submitting {command.program}" if options.get("submitted") else command.program


def plainly(value: Any, left_out: set[str]) -> Any:
    return value.model_dump(mode="json", exclude=left_out) if isinstance(value, BaseModel) else value
