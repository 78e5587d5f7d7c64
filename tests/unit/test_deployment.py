"""Deployment: merged in bf16, checked against the unmerged model, with a card; only for a run that converged."""

import json
from pathlib import Path
from typing import Any

import pytest
import training_runs
from tiny_models import build_tiny_model

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.deployment.deploy import deploy
from llamaduo.deployment.facts import CardFacts
from llamaduo.deployment.merge import compare
from llamaduo.storage.files import write_json
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.schemas.dataset import DATASET
from llamaduo.storage.schemas.metrics import METRICS
from llamaduo.storage.tables import write_rows


def coverage(prefix: str) -> list[dict[str, Any]]:
    return [
        {
            "prompt": f"{prefix} {number}?",
            "prompt_id": f"{prefix}-{number}",
            "messages": [
                {"role": "user", "content": f"{prefix} {number}?"},
                {"role": "assistant", "content": "team: billing"},
            ],
            "category": "Support",
        }
        for number in range(16)
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelSettings:
    return ModelSettings(path=str(build_tiny_model("gemma", tmp_path_factory.mktemp("model") / "gemma")))


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("artifacts")
    train = coverage("Ticket")
    write_rows(root / "train.parquet", train, COVERAGE)
    write_rows(root / "test.parquet", coverage("Question"), COVERAGE)
    rows = [{**{key: row[key] for key in ("messages", "category", "prompt_id")}, "origin": "train"} for row in train]
    write_rows(root / "dataset.parquet", rows, DATASET)
    score = {"judge": "claude", "metric": "precision", "lower": 90.5, "upper": 97.25, "prompts": 16, "responses": 64}
    rows = [
        {**score, "statistic": "mean", "value": 94.0, "ungraded": 1},
        {**score, "statistic": "coverage", "value": 95.0, "ungraded": 1, "zeta": 70.0},
    ]
    write_rows(root / "metrics.parquet", rows, METRICS)
    criterion = {"metric": "precision", "statistic": "mean", "judge": "mean", "value": 94.0, "lower": 90.5}
    decision = {"volume": 0, "verdict": "expand", "criteria": []}
    write_json(root / "expand.json", decision)
    decision = {
        "volume": 8,
        "verdict": "converged",
        "criteria": [{**criterion, "zeta": None, "threshold": 90.0, "estimate": "point", "passed": True}],
    }
    write_json(root / "converged.json", decision)
    return root


def train(artifacts: Path, model: ModelSettings, method: str, folder: Path) -> Path:
    settings = {"method": method, "max_steps": 6, "learning_rate": 1e-2}
    training_runs.train(folder, artifacts / "dataset.parquet", model, settings)
    return folder / "adapter"


def deploy_it(artifacts: Path, model: ModelSettings, adapter: Path, folder: Path, *decisions: str) -> dict[str, Any]:
    deploy(
        run={"task": "support", "generator": "gpt", "model": "gemma"},
        model=model,
        adapter=adapter,
        decisions=[artifacts / f"{name}.json" for name in decisions],
        metrics=artifacts / "metrics.parquet",
        train=artifacts / "train.parquet",
        test=artifacts / "test.parquet",
        facts=CardFacts(
            coverage="tickets",
            generator="openai gpt-4o",
            judges={"claude": "anthropic claude-3-sonnet"},
            simulated=["claude"],
        ),
        output=folder / "model",
        verification=folder / "verification.json",
    )
    return json.loads((folder / "verification.json").read_text())


@pytest.mark.parametrize("method", ["qlora", "full"])
def test_the_deployed_model_says_what_the_tuned_one_says(
    method: str, artifacts: Path, model: ModelSettings, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    adapter = train(artifacts, model, method, tmp_path)
    found = deploy_it(artifacts, model, adapter, tmp_path, "expand", "converged")
    assert found["passed"]
    assert found["max_abs_difference"] < found["tolerance"]
    if method == "qlora":
        assert found["adapter_effect"] > 3 * found["mean_abs_difference"]

    deployed = AutoModelForCausalLM.from_pretrained(str(tmp_path / "model"))
    tokenizer = AutoTokenizer.from_pretrained(str(tmp_path / "model"))
    assert {weights.dtype for weights in deployed.state_dict().values()} == {torch.bfloat16}
    assert tokenizer.convert_tokens_to_ids("<end_of_turn>") in deployed.generation_config.eos_token_id
    assert tokenizer.chat_template
    assert sorted(path.suffix for path in (tmp_path / "model").iterdir() if path.suffix not in (".json", ".jinja")) == [
        ".md",
        ".safetensors",
    ]


def test_the_card_states_data_scores_judges_and_what_was_simulated(
    artifacts: Path, model: ModelSettings, tmp_path: Path
) -> None:
    adapter = train(artifacts, model, "lora", tmp_path)
    deploy_it(artifacts, model, adapter, tmp_path, "expand", "converged")
    card = (tmp_path / "model/README.md").read_text()
    for stated in (
        "**Simulated.** claude was simulated",
        "- coverage dataset: tickets",
        "- train split: 16 rows",
        "- synthetic samples: 8 by gpt (openai gpt-4o)",
        "- trained on: 16 rows of train",
        "| claude, anthropic claude-3-sonnet (simulated) | precision | mean | 94.00 | 90.50 to 97.25 | 16 | 64 | 1 |",
        "precision | coverage at 70 | 95.00 |",
        "| precision | mean | mean of all | 94.00 | 90.00 | yes |",
        "volume 0 expand, volume 8 converged",
        "- method: lora",
    ):
        assert stated in card


def test_a_lost_adapter_or_one_that_was_rounded_away_does_not_pass() -> None:
    import torch

    torch.manual_seed(0)
    base = [torch.randn(20, 50) * 5]
    tuned = [logits + 0.1 * torch.randn(20, 50) for logits in base]
    rounded = [logits.bfloat16().float() for logits in tuned]
    assert compare(rounded, tuned, base).passed
    assert not compare(base, tuned, base).passed
    assert not compare([logits + 10 * (logits > 5) for logits in rounded], tuned, base).passed
    assert compare(rounded, tuned, None).adapter_effect is None


def test_only_a_run_that_converged_is_deployed(artifacts: Path, model: ModelSettings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expand\.json: only a run that converged is deployed"):
        deploy_it(artifacts, model, tmp_path / "adapter", tmp_path, "expand")
    with pytest.raises(InputError, match=r"training\.json: no such file"):
        deploy_it(artifacts, model, tmp_path / "adapter", tmp_path, "expand", "converged")
    assert not (tmp_path / "model").exists()
