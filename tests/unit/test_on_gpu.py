"""What only a GPU does, on tiny models: kernels for packed examples, the fused optimiser, 4 bits, recorded decoding."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import training_runs
from test_inference_engine import answers, queries
from tiny_models import build_tiny_model
from training_runs import write_dataset

from llamaduo.config.models import ModelSettings
from llamaduo.inference import transformers_engine
from llamaduo.models.weights import load_with_adapter

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")

FAMILIES = ("gemma", "llama", "chatml")
SETTINGS: dict[str, Any] = {"max_steps": 12, "learning_rate": 1e-2, "validation_share": 0.2}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pairs = [(f"Who takes ticket {number}?" * (1 + number % 5), f"team: {'abc'[number % 3]}") for number in range(40)]
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset.parquet", pairs)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["qlora", "lora", "full"])
def test_a_model_is_trained_packed_and_responds_by_recorded_steps(
    method: str,
    family: str,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model = ModelSettings(path=str(build_tiny_model(family, tmp_path / "base")))

    rows = training_runs.train(tmp_path, dataset, model, {**SETTINGS, "method": method})

    assert rows[-1]["loss"] < rows[0]["loss"] - 0.02
    chosen = json.loads((tmp_path / "training-machine.json").read_text())["chosen"]
    assert (chosen["layout"], chosen["optimiser"]) == ("packed", "adamw_torch_fused")
    assert chosen["attention"] != "llamaduo_segments", "one call for all examples"

    trained = load_with_adapter(model, tmp_path / "adapter", dtype=torch.float32)
    record, made = transformers_engine.recorder_for(trained), []

    def recorder(work: Any) -> Any:
        made.append(work)
        assert record is not None
        return record(work)

    monkeypatch.setattr(transformers_engine, "recorder_for", lambda model: recorder)
    found = answers(trained, queries(), 100_000)
    monkeypatch.setattr(transformers_engine, "recorder_for", lambda model: None)
    assert found == answers(trained, queries(), 100_000)
    assert made
    assert "not recorded" not in caplog.text
