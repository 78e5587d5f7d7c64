"""The configs that users start from, run for real: those in config/ and the examples in config/README.md.

Changed are only paths (the coverage dataset, each model by a tiny one of its architecture), addresses of services (a
simulated one) and sizes: volumes, K, M, steps, rows, tokens, calls a minute. Every other key is as it stands there, or
at its default. The programs run in forks of one process that has the libraries loaded, which saves most of the time.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from documents import examples
from loaded import loaded_python
from tiny_models import build_tiny_model
from workspace import REPOSITORY, Workspace, clean_environment, new_workspace, pairs

from llamaduo.config.simulation import Simulation
from llamaduo.simulated.server import running

CONFIGS = REPOSITORY / "config"
SMALL, BEDROCK, DECISION, OVERRIDES, TRAINING, ELSEWHERE, MONEY = examples(CONFIGS / "README.md")
# A model's architecture by the beginning of its path.
ARCHITECTURES = {
    "google/gemma-2b": "gemma",
    "google/gemma-7b": "gemma",
    "google/gemma-3": "gemma3",
    "mistralai/Mistral-7B": "mistral",
    "meta-llama/": "llama",
    "Qwen/Qwen3": "chatml",
    "microsoft/Phi-4-mini": "phi",
    "/models/our-adapter": "adapter",
}
SIZES: dict[str, dict[str, Any]] = {
    "training": {"max_steps": 2},
    "inference": {"samples": 2, "max_new_tokens": 8},
    "judging": {"grades": 2},
}
VOLUME = 6


@pytest.fixture(scope="module")
def python() -> Iterator[Path]:
    with loaded_python(clean_environment()) as path:
        yield path


@pytest.fixture
def workspace(tmp_path: Path, python: Path) -> Workspace:
    workspace = new_workspace(tmp_path / "workspace")
    workspace.python = python
    return workspace


def shipped(name: str) -> dict[str, Any]:
    return yaml.safe_load((CONFIGS / name).read_text(encoding="utf-8"))


def prepare(workspace: Workspace, config: dict[str, Any], volumes: list[int], address: str = "simulated") -> None:
    """Write a config for tiny models, the simulated service and small sizes, and the coverage dataset that it names."""
    config = deepcopy(config)
    config["coverage"]["source"] = "pairs"
    categories = sorted({category for task in config["tasks"].values() for category in task["categories"]})
    write_pairs(workspace.folder / "pairs", categories)
    for task in config["tasks"].values():
        task["volumes"] = volumes
    for service in config["services"].values():
        service["base_url"] = "simulated"
        if service.get("mode") == "batch":
            # What a batch is collected from must outlive the step that submits it.
            service |= {"base_url": address, "simulated": True, "batch_poll_seconds": 0.2}
        if "requests_per_minute" in service:
            service["requests_per_minute"] *= 100
    for model in config["models"].values():
        for key in {"path", "base"} & model.keys():
            model[key] = str(tiny_model(workspace.folder / "models", model[key]))
    for override in config.get("overrides", []):
        override |= {bound: min(override[bound], VOLUME) for bound in ("from_volume", "to_volume") if bound in override}
        override.get("training", {}).pop("epochs", None)
    for section, sizes in SIZES.items():
        config[section] = {**config.get(section, {}), **sizes}
    workspace.write_config(config)


def write_pairs(folder: Path, categories: list[str]) -> None:
    folder.mkdir()
    for split, count, start in (("train", 10, 0), ("test", 2, 100)):
        rows = [
            {**row, "category": category.replace("*", "Any")}
            for number, category in enumerate(categories)
            for row in pairs(count, start=start + 200 * number)
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def tiny_model(folder: Path, path: str) -> Path:
    made = folder / path.strip("/")
    if not made.exists():
        [architecture] = [value for start, value in ARCHITECTURES.items() if path.startswith(start)]
        if architecture == "adapter":
            build_tiny_adapter(made)
        else:
            build_tiny_model(architecture, made)
    return made


def build_tiny_adapter(folder: Path) -> None:
    """An adapter of a tiny Gemma, as tuning elsewhere leaves it: with its weights alone."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(build_tiny_model("gemma", folder.parent / "base")))
    get_peft_model(model, LoraConfig(r=2, target_modules="all-linear")).save_pretrained(str(folder))


def run(workspace: Workspace, *targets: str) -> None:
    """The loop, by the command that README tells."""
    done = workspace.snakemake("--profile", "profiles/local", "--cores", "2", *targets)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]


def verdicts(workspace: Workspace) -> dict[str, str]:
    """Every verdict by task, generator and model."""
    runs = workspace.folder / workspace.config["results"] / "runs"
    found = {
        str(path.parent.relative_to(runs)): json.loads(path.read_text()) for path in runs.glob("*/*/*/verdict.json")
    }
    return {run: verdict["verdict"] for run, verdict in found.items()}


def test_the_papers_grid_runs(workspace: Workspace) -> None:
    """One task of four, with its first generator; the others write and answer as well, and all judge."""
    prepare(workspace, shipped("config.yaml"), volumes=[VOLUME])
    models, others = workspace.config["models"], list(workspace.config["services"])[1:]
    task = "summarization"

    run(
        workspace,
        *(f"results/runs/{task}/gpt-4o/{model}/verdict.json" for model in models),
        *(f"results/synthesis/{task}/{generator}/volume-{VOLUME}.json" for generator in others),
        *(f"results/baselines/{task}/{service}/responses.parquet" for service in others),
    )

    assert verdicts(workspace) == {f"{task}/gpt-4o/{model}": "exhausted" for model in models}


def test_the_grid_of_current_models_runs(workspace: Workspace) -> None:
    """One task of four."""
    prepare(workspace, shipped("current.yaml"), volumes=[VOLUME])
    models = workspace.config["models"]

    run(workspace, *(f"results/current/runs/coding/gpt/{model}/verdict.json" for model in models))

    assert verdicts(workspace) == {f"coding/gpt/{model}": "exhausted" for model in models}


def test_the_small_config_of_the_reference_runs_to_its_report(workspace: Workspace) -> None:
    prepare(workspace, SMALL, volumes=[0, VOLUME])

    run(workspace)

    assert verdicts(workspace) == {"support/gpt/gemma-2b": "exhausted"}
    assert "gemma-2b" in (workspace.folder / "my-results/report/index.html").read_text(encoding="utf-8")


def test_the_references_example_of_a_budget_runs(workspace: Workspace) -> None:
    """The small config with it: one service in batches, the other for a task whose data the first must not see."""
    config = {**SMALL, **MONEY, "tasks": SMALL["tasks"] | MONEY["tasks"]}
    with running(Simulation()) as address:
        prepare(workspace, config, volumes=[VOLUME], address=address)
        run(workspace, *(f"my-results/runs/{run}/gemma-2b/verdict.json" for run in ("patients/ours", "support/gpt")))

    assert verdicts(workspace) == dict.fromkeys(("patients/ours/gemma-2b", "support/gpt/gemma-2b"), "exhausted")


def test_the_references_examples_of_models_and_decisions_run(workspace: Workspace) -> None:
    """The small config with all of them: another judge, a stricter decision, overrides, a model tuned elsewhere."""
    config = {**SMALL, **DECISION, **TRAINING, "overrides": OVERRIDES["overrides"] + TRAINING["overrides"]}
    config["services"] = SMALL["services"] | BEDROCK["services"]
    config["judges"] = list(config["services"])
    trained = {name: shipped("config.yaml")["models"][name] for name in ("gemma-7b", "llama3-8b")}
    config["models"] = SMALL["models"] | trained | ELSEWHERE["models"]
    prepare(workspace, config, volumes=[VOLUME])

    run(workspace, *(f"my-results/runs/support/gpt/{model}/verdict.json" for model in trained))
    run(workspace, "my-results/baselines/support/ours/decision.json")

    assert verdicts(workspace) == {f"support/gpt/{model}": "exhausted" for model in trained}
    decision = json.loads((workspace.folder / "my-results/baselines/support/ours/decision.json").read_text())
    assert decision["verdict"] == "exhausted"
