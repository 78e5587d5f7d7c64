"""The config as a whole: the grid of the paper, schema and reference, overrides, names that nothing has."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from llamaduo.cli.errors import InputError
from llamaduo.config.load import load, validate
from llamaduo.config.reference import json_schema, markdown
from llamaduo.config.root import Config

ROOT = Path(__file__).parents[2]
PRESET = ROOT / "config" / "config.yaml"

DOUBLINGS = [1000 * 2**n for n in range(8)]
SERVICE = {"provider": "openai", "model": "gpt-4o"}
NOTHING = {"mean": None, "coverage": None}
CLOSED_QA, CLASSIFICATION, CODING, SUMMARIZATION = "closed_qa", "classification", "coding", "summarization"


@pytest.fixture(scope="module")
def paper() -> Config:
    return load(PRESET)


def small(**sections: Any) -> dict[str, Any]:
    """The least that a config needs, with some sections more."""
    return {
        "coverage": {"source": "pairs.jsonl"},
        "tasks": {"chat": {"generators": ["gpt"], "volumes": [0, 1000, 2000]}},
        "services": {"gpt": SERVICE, "claude": {"provider": "anthropic", "model": "claude-sonnet-4-5"}},
        "models": {"gemma": {"path": "google/gemma-2b"}, "llama": {"path": "meta-llama/Meta-Llama-3-8B"}},
        "judges": ["gpt"],
        **sections,
    }


# The preset: arXiv 2408.13467, section 4, and the published hyperparameters.


def test_the_preset_is_the_papers_grid(paper: Config) -> None:
    generators = {name: len(task.generators) for name, task in paper.tasks.items()}

    assert generators == {SUMMARIZATION: 3, CLASSIFICATION: 1, CODING: 1, CLOSED_QA: 1}
    assert len(paper.models) == len(paper.trained_models()) == 4
    assert sum(generators.values()) * len(paper.models) == 24
    assert {name: task.categories for name, task in paper.tasks.items()} == {
        SUMMARIZATION: ["Summarize"],
        CLASSIFICATION: ["Classify"],
        CODING: ["Coding"],
        CLOSED_QA: ["Closed QA"],
    }
    assert paper.tasks[SUMMARIZATION].volumes == [0, *DOUBLINGS, 256_000]
    assert all(paper.tasks[task].volumes == [0, *DOUBLINGS] for task in (CLASSIFICATION, CODING, CLOSED_QA))
    assert all(task.reference == "gpt-4o" for task in paper.tasks.values())


def test_the_preset_has_the_papers_services_samples_and_grades(paper: Config) -> None:
    assert {(service.provider, service.model) for service in paper.services.values()} == {
        ("openai", "gpt-4o"),
        ("anthropic", "claude-3-sonnet-20240229"),
        ("gemini", "gemini-1.5-flash-001"),
    }
    assert sorted(paper.judges) == sorted(paper.services)
    assert not any(service.is_simulated for service in paper.services.values())
    assert (paper.inference.samples, paper.judging.grades) == (4, 10)
    assert (paper.inference.temperature, paper.inference.max_new_tokens) == (0.8, 1024)
    assert paper.metrics.zeta == [50, 70]
    assert paper.judging.metrics == ["similarity", "precision"]


def test_the_preset_pins_every_model_by_its_commit(paper: Config) -> None:
    for name, model in paper.models.items():
        assert re.fullmatch(r"[0-9a-f]{40}", model.revision or ""), name
        assert re.fullmatch(r"[\w-]+/[\w.-]+", model.path), name


@pytest.mark.parametrize(
    ("model", "task", "volumes", "rank", "epochs", "length", "batch"),
    [
        ("gemma-2b", SUMMARIZATION, (0, 1000, 32_000), 8, 10, 2048, 4),
        ("gemma-2b", SUMMARIZATION, (64_000, 128_000, 256_000), 8, 15, 2048, 4),
        ("gemma-7b", SUMMARIZATION, (0, 1000, 16_000), 8, 10, 1024, 4),
        ("gemma-7b", SUMMARIZATION, (32_000,), 16, 10, 1024, 4),
        ("gemma-7b", SUMMARIZATION, (64_000, 256_000), 32, 10, 1024, 4),
        ("llama3-8b", SUMMARIZATION, (128_000, 256_000), 32, 10, 1024, 4),
        ("llama3-8b", CODING, (128_000,), 32, 10, 1024, 4),
        ("llama3-8b", CLASSIFICATION, (128_000,), 32, 10, 1024, 4),
        ("llama3-8b", CLOSED_QA, (128_000,), 32, 10, 1024, 8),
        ("mistral-7b-v0.3", CODING, (128_000,), 32, 10, 1024, 4),
        ("mistral-7b-v0.3", CLASSIFICATION, (128_000,), 32, 10, 1024, 8),
        ("mistral-7b-v0.3", CLOSED_QA, (128_000,), 32, 10, 1024, 8),
    ],
)
def test_the_preset_has_the_published_hyperparameters(
    paper: Config, model: str, task: str, volumes: tuple[int, ...], rank: int, epochs: int, length: int, batch: int
) -> None:
    for volume in volumes:
        settings = paper.training_for(task, model, volume)

        assert (settings.lora.r, settings.lora.alpha) == (rank, 2 * rank), volume
        assert (settings.epochs, settings.max_length, settings.batch_size) == (epochs, length, batch), volume
        assert (settings.method, settings.schedule, settings.precision) == ("qlora", "cosine", "auto")
        assert (settings.learning_rate, settings.warmup, settings.lora.dropout) == (2e-4, 0.1, 0.05)
        assert (settings.gradient_accumulation, settings.seed, settings.max_steps) == (2, 42, None)
        assert settings.activation_checkpointing
        assert settings.evaluate_every == "epoch"


# What is made from the models


def test_the_workflows_prompts_and_prices_are_found_from_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    config = validate(small(), "my.yaml")

    assert Path(config.prompts) == ROOT / "config/prompts.toml"
    assert config.services["gpt"].price is not None
    (tmp_path / "config").mkdir()
    (tmp_path / "config/prompts.toml").write_text("")
    assert validate(small(), "my.yaml").prompts == "config/prompts.toml", "a folder's own go before them"
    assert validate(small(prompts="mine.toml"), "my.yaml").prompts == "mine.toml"


def test_the_schema_is_current() -> None:
    assert (ROOT / "config/schema.json").read_text(encoding="utf-8") == json_schema(), "run scripts/config_reference.py"


def test_the_reference_is_current() -> None:
    page = (ROOT / "config/README.md").read_text(encoding="utf-8")

    reference = page.split("<!-- reference: start -->")[1].split("<!-- reference: end -->")[0]

    assert reference.strip() == markdown().strip(), "run scripts/config_reference.py"


def test_every_key_has_a_meaning_in_the_reference() -> None:
    rows = [line.split(" | ") for line in markdown().splitlines() if line.startswith("| `")]

    assert len(rows) > 100
    assert [row[0] for row in rows if not row[-1].removesuffix("|").strip()] == []


def test_the_schema_is_one_and_takes_the_configs_of_this_repository() -> None:
    schema = json.loads(json_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)

    for path in (PRESET, ROOT / "config" / "demo.yaml"):
        validator.validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        load(path)
    readme = (ROOT / "config/README.md").read_text(encoding="utf-8")
    example = readme.split("## A small config")[1].split("```yaml\n")[1].split("```")[0]
    validator.validate(yaml.safe_load(example))
    validate(yaml.safe_load(example), "config/README.md")


@pytest.mark.parametrize(
    "sections",
    [
        {"coverage": {"sorce": "x"}},
        {"judging": {"grades": "many"}},
        {"decision": {"epsilon": {"mean": 200}}},
        {"services": {"gpt": {"provider": "opneai", "model": "gpt-4o"}}},
        {"judgez": ["gpt"]},
    ],
)
def test_the_schema_refuses_what_the_models_refuse(sections: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json.loads(json_schema())).validate(small(**sections))
    with pytest.raises(InputError):
        validate(small(**sections), "config.yaml")


# Overrides


def test_overrides_hold_for_their_models_tasks_and_volumes() -> None:
    bounds = {"models": ["gemma"], "tasks": ["chat"], "from_volume": 1000, "to_volume": 1999}
    config = validate(small(overrides=[{**bounds, "training": {"epochs": 3}}]), "config.yaml")

    assert [config.training_for("chat", "gemma", volume).epochs for volume in (0, 999, 1000, 1999, 2000)] == [
        *(10, 10, 3, 3, 10)
    ]
    assert config.training_for("chat", "llama", 1000).epochs == 10
    assert config.training_for("other", "gemma", 1000).epochs == 10


def test_overrides_are_merged_key_by_key_and_the_later_one_wins() -> None:
    overrides: list[dict[str, Any]] = [
        {"training": {"lora": {"r": 16}, "epochs": 3}, "inference": {"temperature": 0.5}},
        {"models": ["gemma"], "training": {"lora": {"alpha": 64}}},
        {"from_volume": 2000, "training": {"epochs": 1}},
    ]
    training = {"lora": {"dropout": 0.2}, "learning_rate": 0.1}
    config = validate(small(training=training, overrides=overrides), "config.yaml")

    gemma, llama = (config.training_for("chat", model, 2000) for model in ("gemma", "llama"))

    assert (gemma.lora.r, gemma.lora.alpha, gemma.lora.dropout) == (16, 64, 0.2)
    assert (llama.lora.r, llama.lora.alpha, llama.lora.dropout) == (16, 16, 0.2)
    assert (gemma.epochs, gemma.learning_rate) == (1, 0.1)
    assert config.training_for("chat", "gemma", 1000).epochs == 3
    assert config.inference_for("chat", "gemma", 0).temperature == 0.5
    assert config.inference_for("chat", "gemma", 0).samples == 4


# Names that nothing has


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"judges": ["nobody"]}, ["judges", "'nobody'", "gpt, claude"]),
        ({"tasks": {"chat": {"generators": ["nobody"], "volumes": [0]}}}, ["tasks.chat.generators", "'nobody'"]),
        (
            {"tasks": {"chat": {"generators": ["gpt"], "service": "nobody", "volumes": [0]}}},
            ["tasks.chat.service", "'nobody'"],
        ),
        ({"baselines": {"services": ["nobody"]}}, ["baselines.services", "'nobody'"]),
        ({"overrides": [{"models": ["nobody"]}]}, ["overrides.0.models", "'nobody'", "gemma, llama"]),
        ({"overrides": [{}, {"tasks": ["nothing"]}]}, ["overrides.1.tasks", "'nothing'", "chat"]),
        ({"overrides": [{}, {"training": {"epoch": 3}}]}, ["overrides.1.training.epoch"]),
        ({"overrides": [{"training": {"lora": {"rank": 3}}}]}, ["overrides.0.training.lora.rank"]),
        ({"overrides": [{"training": {"method": "dora"}}]}, ["overrides.0.training.method", "'qlora'", "'dora'"]),
        ({"overrides": [{"inference": {"samples": 0}}]}, ["overrides.0.inference.samples", "greater", "found 0"]),
        ({"decision": {"per_metric": {"tone": {"mean": 50}}}}, ["decision.per_metric", "'tone'", "similarity"]),
        ({"decision": {"zeta": 60}}, ["decision.zeta", "60", "[50.0, 70.0]"]),
        ({"models": {"gpt": {"path": "google/gemma-2b"}}}, ["'gpt'", "models", "services"]),
        ({"models": {"gemma 2b": {"path": "google/gemma-2b"}}}, ["models", "'gemma 2b'"]),
        ({"services": {"coverage": SERVICE}}, ["services", "'coverage'"]),
        ({"training": {"include_train": False}}, ["tasks.chat.volumes", "training.include_train"]),
        ({"overrides": [{"training": {"include_train": False}}]}, ["overrides.0.training", "include_train"]),
        ({"judges": ["gpt", "claude", "gpt"]}, ["judges", "twice"]),
        ({"decision": {"per_metric": dict.fromkeys(("similarity", "precision"), NOTHING)}}, ["decision", "threshold"]),
        ({"services": dict.fromkeys(("gpt", "a-b", "a.b"), SERVICE)}, ["services", "'a-b'", "'a.b'"]),
        ({"results": "my results"}, ["results", "'my results'"]),
    ],
)
def test_what_does_not_fit_together_is_an_error_that_names_the_key(sections: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(InputError) as error:
        validate(small(**sections), "my.yaml")

    assert all(part in str(error.value) for part in ["my.yaml", *said]), error.value


@pytest.mark.parametrize("missing", ["coverage", "tasks", "services", "models", "judges"])
def test_a_missing_section_is_named(missing: str) -> None:
    values = small()
    del values[missing]

    with pytest.raises(InputError, match=f"my.yaml: {missing}: .*(required|missing)"):
        validate(values, "my.yaml")


@pytest.mark.parametrize(("text", "said"), [("- a list", "mapping"), ("a: [", "not YAML"), (None, "my.yaml: no such")])
def test_a_file_that_is_no_config_is_said_so(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "my.yaml"
    if text is not None:
        path.write_text(text)

    with pytest.raises(InputError, match=said):
        load(path)
