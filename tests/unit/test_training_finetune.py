"""Fine-tuning tiny models for real: every method learns, equal inputs give equal bytes, a kill loses nothing."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import training_runs
from safetensors.torch import load_file, save_file
from tiny_models import build_tiny_model
from training_runs import write_dataset

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.deployment.merge import merge
from llamaduo.models.chat import load_tokenizer, prompt_ids
from llamaduo.models.weights import load_causal, load_with_adapter
from llamaduo.storage.canonical import digest_folder
from llamaduo.storage.lease import LeaseHeld, lease
from llamaduo.storage.schemas.dataset import DATASET
from llamaduo.storage.tables import read_rows
from llamaduo.training.deadline import Unfinished
from llamaduo.training.model import start

SETTINGS: dict[str, Any] = {
    "batch_size": 4,
    "gradient_accumulation": 2,
    "max_steps": 10,
    "learning_rate": 1e-2,
    "validation_share": 0.2,
}
FAMILIES = ("gemma", "mistral", "llama", "chatml")  # the last one stands for Qwen 3
TEAMS = ("billing", "hardware", "shipping")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ModelSettings]:
    root = tmp_path_factory.mktemp("models")
    return {family: ModelSettings(path=str(build_tiny_model(family, root / family))) for family in FAMILIES}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pairs = [
        (f"What team takes ticket {number}?", f"team: {TEAMS[number % 3]} | priority: low") for number in range(40)
    ]
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset.parquet", pairs)


def train(
    folder: Path,
    dataset: Path,
    model: ModelSettings,
    warm_start: Path | None = None,
    time_limit: float | None = None,
    **keys: Any,
) -> tuple[Path, list[dict[str, Any]]]:
    options = {"warm_start": warm_start, "time_limit": time_limit}
    rows = training_runs.train(folder, dataset, model, {**SETTINGS, **keys}, **options)
    return folder / "adapter", rows


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["qlora", "lora", "full"])
def test_every_method_learns_every_family_and_what_is_saved_is_loaded_merged_and_generates(
    method: str, family: str, models: dict[str, ModelSettings], dataset: Path, tmp_path: Path
) -> None:
    import torch

    adapter, rows = train(tmp_path, dataset, models[family], method=method)
    assert [row["step"] for row in rows] == list(range(1, 11))
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.02
    assert rows[-1]["tokens"] > rows[0]["tokens"] > 0
    assert rows[-1]["eval_loss"] is not None
    facts = json.loads((adapter / "training.json").read_text())
    assert (facts["method"], facts["base"]["path"]) == (method, models[family].path)
    assert facts["training_examples"] + facts["validation_examples"] == 40
    assert facts["kept_eval_loss"] == min(row["eval_loss"] for row in rows if row["eval_loss"] is not None)
    assert {path.suffix for path in adapter.iterdir()} <= {".json", ".jinja", ".safetensors"}
    assert not list((tmp_path / "state").glob("*/*"))
    assert list((tmp_path / "tensorboard").iterdir())
    ran_on = json.loads((tmp_path / "training-machine.json").read_text())["chosen"]
    assert (ran_on["layout"], ran_on["optimiser"], ran_on["liger"]) == ("packed", "adamw_torch", False)

    tuned, base = load_with_adapter(models[family], adapter), load_with_adapter(models[family], None)
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        assert not torch.allclose(tuned(tokens).logits, base(tokens).logits, atol=1e-3)

    messages = read_rows(dataset, DATASET)[0]["messages"]
    tokenizer = load_tokenizer(models[family])
    assert merge(models[family], adapter, tokenizer, [messages], tmp_path / "merged").passed
    prompt = torch.tensor([prompt_ids(tokenizer, messages)])
    written = load_causal(tmp_path / "merged").generate(
        input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=4, do_sample=False
    )
    assert prompt.shape[1] < written.shape[1] <= prompt.shape[1] + 4


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(
    models: dict[str, ModelSettings], dataset: Path, tmp_path: Path
) -> None:
    first, _ = train(tmp_path / "first", dataset, models["gemma"], method="lora", max_steps=3)
    same, _ = train(tmp_path / "same", dataset, models["gemma"], method="lora", max_steps=3)
    other, _ = train(tmp_path / "other", dataset, models["gemma"], method="lora", max_steps=3, seed=43)
    assert digest_folder(first) == digest_folder(same)
    assert digest_folder(first, "*.safetensors") != digest_folder(other, "*.safetensors")


def test_only_the_best_weights_so_far_take_room_on_the_disk(
    models: dict[str, ModelSettings], dataset: Path, tmp_path: Path
) -> None:
    keys: dict[str, Any] = {"method": "full", "evaluate_every": 1, "schedule": "constant"}
    for _ in range(2):
        with pytest.raises(Unfinished):
            train(tmp_path, dataset, models["gemma"], time_limit=0, **keys)
    assert [folder.name for folder in tmp_path.glob("state/*/best-*")] == ["best-2"]


def test_the_weights_with_the_lowest_validation_loss_are_kept(
    models: dict[str, ModelSettings], dataset: Path, tmp_path: Path
) -> None:
    keys: dict[str, Any] = {"method": "full", "learning_rate": 0.5, "schedule": "constant", "max_steps": 5}
    best, rows = train(tmp_path / "best", dataset, models["gemma"], evaluate_every=1, **keys)
    losses = {row["step"]: row["eval_loss"] for row in rows}
    facts = json.loads((best / "training.json").read_text())
    assert facts["kept_step"] == min(losses, key=lambda step: losses[step]) < 5
    last, _ = train(tmp_path / "last", dataset, models["gemma"], evaluate_every=1, keep="last", **keys)
    assert json.loads((last / "training.json").read_text())["kept_step"] == 5
    assert digest_folder(best, "*.safetensors") != digest_folder(last, "*.safetensors")


def test_training_stops_early_when_validations_bring_nothing_any_more(
    models: dict[str, ModelSettings], dataset: Path, tmp_path: Path
) -> None:
    keys: dict[str, Any] = {"method": "full", "learning_rate": 0.5, "schedule": "constant", "max_steps": 9}
    kept, rows = train(tmp_path, dataset, models["gemma"], evaluate_every=1, patience=2, checkpoint_minutes=0, **keys)
    facts = json.loads((kept / "training.json").read_text())
    assert facts["steps"] == len(rows) == facts["kept_step"] + 2 < 9


def test_a_training_that_diverged_is_told_and_keeps_nothing(
    models: dict[str, ModelSettings], dataset: Path, tmp_path: Path
) -> None:
    poisoned = tmp_path / "poisoned"
    shutil.copytree(models["llama"].path, poisoned)
    weights = load_file(poisoned / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, poisoned / "model.safetensors", metadata={"format": "pt"})
    keys: dict[str, Any] = {"method": "lora", "hardware": {"layout": "padded"}}
    with pytest.raises(InputError, match=r"the loss is nan at step 1: the training diverged"):
        train(tmp_path, dataset, models["llama"].model_copy(update={"path": str(poisoned)}), **keys)
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize(
    ("name", "problem"), [("paper", "unknown tracker 'paper'"), ("wandb", "'wandb' is not installed")]
)
def test_a_tracker_that_is_not_there_is_told(
    name: str, problem: str, models: dict[str, ModelSettings], dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=problem):
        train(tmp_path, dataset, models["llama"], report_to=[name])


def test_a_warm_start_goes_on_from_the_adapter_of_before(
    models: dict[str, ModelSettings], dataset: Path, tmp_path: Path
) -> None:
    first, before = train(tmp_path / "first", dataset, models["gemma"], method="lora")
    warm: dict[str, Any] = {"method": "lora", "max_steps": 2, "warm_start": first}
    _, after = train(tmp_path / "second", dataset, models["gemma"], **warm)
    assert after[0]["loss"] < before[0]["loss"] - 0.05
    with pytest.raises(InputError, match=r"its lora r is 8, and training.lora.r is 4"):
        train(tmp_path / "third", dataset, models["gemma"], **warm, lora={"r": 4})


def test_one_process_at_a_time_trains_in_a_folder(
    models: dict[str, ModelSettings], dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamaduo.training.finetune.state_key", lambda *_: "key")
    with lease(tmp_path / "state/key", "test"), pytest.raises(InputError):
        train(tmp_path, dataset, models["gemma"], method="lora")
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize("checkpoint_minutes", [0, 60], ids=["at a checkpoint", "at the end"])
def test_a_training_whose_lease_was_taken_over_seals_and_writes_nothing_more(
    checkpoint_minutes: int,
    models: dict[str, ModelSettings],
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start_that_stood_still(*given: Any) -> Any:
        (tmp_path / "state/key.lease").unlink()
        return start(*given)

    monkeypatch.setattr("llamaduo.training.finetune.state_key", lambda *_: "key")
    monkeypatch.setattr("llamaduo.training.model.start", start_that_stood_still)
    keys: dict[str, Any] = {"method": "lora", "max_steps": 2, "checkpoint_minutes": checkpoint_minutes, "keep": "last"}

    with pytest.raises(LeaseHeld, match="taken over"):
        train(tmp_path, dataset, models["gemma"], **keys)

    assert not list(tmp_path.rglob("complete.json"))
    assert not (tmp_path / "adapter").exists()


def test_a_model_tuned_elsewhere_is_not_trained(
    models: dict[str, ModelSettings], dataset: Path, tmp_path: Path
) -> None:
    merged = models["gemma"].model_copy(update={"kind": "merged"})
    with pytest.raises(InputError, match="a model of the kind 'merged' is judged and not trained"):
        train(tmp_path, dataset, merged)


def test_a_qlora_training_that_was_stopped_and_resumed_ends_as_an_undisturbed_one(
    models: dict[str, ModelSettings], dataset: Path, tmp_path: Path
) -> None:
    keys: dict[str, Any] = {"method": "qlora", "max_steps": 6}
    undisturbed, rows = train(tmp_path / "undisturbed", dataset, models["mistral"], **keys)
    with pytest.raises(Unfinished, match="stopped at step 1 of 6"):
        train(tmp_path / "stopped", dataset, models["mistral"], time_limit=0, **keys)
    resumed, rows_again = train(tmp_path / "stopped", dataset, models["mistral"], **keys)
    assert rows_again == rows
    assert digest_folder(resumed) == digest_folder(undisturbed)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_killed_training_ends_as_an_undisturbed_one(
    method: str, models: dict[str, ModelSettings], dataset: Path, tmp_path: Path
) -> None:
    """Slow for a reason: a process of its own has to start, import the trainer and be killed at some step."""
    keys: dict[str, Any] = {"method": method, "max_steps": 16}
    undisturbed, rows = train(tmp_path / "undisturbed", dataset, models["mistral"], **keys)

    killed = tmp_path / "killed"
    settings = {**SETTINGS, **keys, "checkpoint_minutes": 0}
    command = training_runs.command(killed, dataset, models["mistral"], settings)
    with subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        deadline = time.monotonic() + 120
        step = random.randint(2, 10)
        print(f"killed after step {step}")
        while not list(killed.glob(f"state/*/checkpoint-{step}/complete.json")) and time.monotonic() < deadline:
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert not (killed / "adapter").exists()
    trained = json.loads((undisturbed / "training.json").read_text())["trained_tokens"]

    broken = tmp_path / "broken"
    shutil.copytree(killed / "state", broken / "state")
    for folder in (killed, broken) if method == "lora" else (killed,):
        checkpoints = sorted(folder.glob("state/*/checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
        assert checkpoints
        if folder is broken:
            weights = checkpoints[-1] / "adapter_model.safetensors"  # the one before has to do
            weights.write_bytes(weights.read_bytes()[:-1] + b"?")
        resumed, rows_again = train(folder, dataset, models["mistral"], **keys)
        assert rows_again == rows
        assert json.loads((resumed / "training.json").read_text())["trained_tokens"] == trained
        assert digest_folder(resumed) == digest_folder(undisturbed)
