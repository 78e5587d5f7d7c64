"""A training that is stopped or runs out of memory, in one process or several: how it goes on, what is told."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import training_runs
from tiny_models import build_tiny_model
from training_runs import write_dataset

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.storage.canonical import digest_folder
from llamaduo.storage.schemas.training import TRAINING
from llamaduo.storage.tables import read_rows
from llamaduo.training.continuation import (
    UNFINISHED_STATUS,
    begin,
    is_hopeless,
    read,
    record_of,
)
from llamaduo.training.deadline import Deadline, Pace, StopSignals, Unfinished, end_of_job, start_of_job
from llamaduo.training.memory import Footprint
from llamaduo.training.model import start
from llamaduo.training.processes import check_processes

SETTINGS: dict[str, Any] = {
    "method": "lora",
    "max_steps": 6,
    "learning_rate": 1e-2,
    "validation_share": 0.2,
    "lora": {"dropout": 0},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelSettings:
    return ModelSettings(path=str(build_tiny_model("llama", tmp_path_factory.mktemp("model"))))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pairs = [
        (
            f"What team takes ticket {number}? {'It is late. ' * (number % 5)}",
            f"team: {('billing', 'hardware')[number % 2]}",
        )
        for number in range(30)
    ]
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset.parquet", pairs)


def command(folder: Path, dataset: Path, model: ModelSettings, *options: str) -> list[str]:
    return [*training_runs.command(folder, dataset, model, SETTINGS), *options]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment())


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def train(
    folder: Path, dataset: Path, model: ModelSettings, time_limit: float | None = None, **keys: Any
) -> list[dict[str, Any]]:
    return training_runs.train(folder, dataset, model, {**SETTINGS, **keys}, time_limit=time_limit)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, dataset: Path, model: ModelSettings) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    train(folder, dataset, model)
    return folder


# The deadline


def test_a_job_ends_at_its_time_limit_or_when_slurm_says_whichever_is_earlier() -> None:
    assert end_of_job(None, None, {}) is None
    assert end_of_job(10, 1000, {}) == 1600
    assert end_of_job(10, 1000, {"SLURM_JOB_END_TIME": "1500"}) == 1500
    assert end_of_job(None, None, {"SLURM_JOB_END_TIME": "1500"}) == 1500


def test_a_job_begins_with_its_first_process_however_long_the_programs_before_this_one_take(tmp_path: Path) -> None:
    keeper = tmp_path / "slurmstepd"
    keeper.symlink_to("/bin/bash")
    scripts = str(Path(__file__).parents[2] / "scripts")
    environment = os.environ | {"SLURM_JOB_ID": f"test-{os.getpid()}", "PYTHONPATH": scripts}
    # The shell is the step's keeper, and `sleep` the job's first process, as the batch script is.
    with subprocess.Popen([keeper, "-c", "sleep 60 & wait"], env=environment, start_new_session=True) as kept:
        try:
            time.sleep(1.5)
            own = subprocess.run(
                [sys.executable, "-c", "from llamaduo.training.deadline import start_of_job; print(start_of_job())"],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
            (first,) = psutil.Process(kept.pid).children()
            assert float(own.stdout) == pytest.approx(first.create_time(), abs=0.1)
            assert start_of_job({}) == psutil.Process().create_time()
        finally:
            os.killpg(kept.pid, signal.SIGKILL)


def test_a_training_stops_when_no_step_and_checkpoint_fit_before_the_end() -> None:
    with StopSignals() as signals:
        quick = Pace(step=1, validation=2, save=3)
        assert quick.margin() < 60
        assert Deadline(time.time() + 60, signals, quick).reason_to_stop() is None
        slow = Pace(step=20, validation=10, save=10)
        assert "the job ends in" in str(Deadline(time.time() + 60, signals, slow).reason_to_stop())
        assert Deadline(None, signals, slow).reason_to_stop() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_asks_a_training_to_stop_and_does_not_end_it(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopSignals() as signals:
        signal.raise_signal(number)
        assert Deadline(None, signals, Pace()).reason_to_stop() == f"{number.name} received"
    assert signal.getsignal(number) == before


def test_a_training_stopped_by_its_deadline_and_by_a_signal_ends_as_an_undisturbed_one(
    undisturbed: Path, dataset: Path, model: ModelSettings, tmp_path: Path
) -> None:
    """Slow for a reason: a process of its own has to start, import the trainer and be stopped."""
    with pytest.raises(Unfinished, match="stopped at step 1 of 6, with a checkpoint: the job ends in"):
        train(tmp_path, dataset, model, time_limit=0)
    assert not (tmp_path / "adapter").exists()

    going_on = command(tmp_path, dataset, model)
    with subprocess.Popen(going_on, stderr=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stderr is not None
        said = ""
        while "fine-tuning" not in said:  # the model is loaded after that
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGUSR1)
        said += process.stderr.read()
    assert process.returncode == UNFINISHED_STATUS, said
    assert "unfinished: stopped at step 2 of 6, with a checkpoint: SIGUSR1 received" in said
    record = read(record_of(tmp_path / "state", tmp_path / "adapter"))
    assert record is not None
    assert (record.outcome, record.continuations, record.failures, record.advanced) == ("unfinished", 0, 0, True)
    train(tmp_path, dataset, model)
    assert digest_folder(tmp_path / "adapter") == digest_folder(undisturbed / "adapter")
    trained = [read_rows(folder / "training.parquet", TRAINING) for folder in (tmp_path, undisturbed)]
    assert trained[0] == trained[1]


def test_jobs_with_time_for_one_step_each_are_told_and_not_continued_to_no_end(
    dataset: Path, model: ModelSettings, tmp_path: Path
) -> None:
    keys = {"continuations": 4}
    with pytest.raises(InputError, match=r"had time for one step: .* 5 steps are left, .* longer runtime"):
        train(tmp_path, dataset, model, time_limit=0, **keys)
    assert list(tmp_path.glob("state/*/checkpoint-1/complete.json"))
    with pytest.raises(Unfinished, match="stopped at step 2 of 6"):
        train(tmp_path, dataset, model, time_limit=0, **keys)


# Several processes


def test_two_processes_have_the_losses_of_one(
    undisturbed: Path, dataset: Path, model: ModelSettings, tmp_path: Path
) -> None:
    """Slow for a reason: `accelerate launch` starts two processes, which import the trainer each."""
    two = ("--settings.hardware", '{"processes": 2}')
    stopped = run(command(tmp_path, dataset, model, "--time-limit", "0.01", *two))
    assert stopped.returncode == UNFINISHED_STATUS, stopped.stderr
    finished = run(command(tmp_path, dataset, model, "--attempt", "2", *two))
    assert finished.returncode == 0, finished.stderr
    rows = read_rows(tmp_path / "training.parquet", TRAINING)
    expected = read_rows(undisturbed / "training.parquet", TRAINING)
    assert [row["tokens"] for row in rows] == [row["tokens"] for row in expected]
    for name in ("loss", "eval_loss", "learning_rate"):
        found = [row[name] for row in rows if row[name] is not None]
        assert found == pytest.approx([row[name] for row in expected if row[name] is not None], abs=1e-4)
    assert json.loads((tmp_path / "training-machine.json").read_text())["chosen"]["processes"] == 2


def test_more_processes_than_examples_of_a_step_are_refused() -> None:
    settings = TrainingSettings.model_validate({"batch_size": 1, "hardware": {"processes": 3}})
    with pytest.raises(InputError, match=r"processes is 3, and an optimiser step is of 2 examples"):
        check_processes(settings)


def test_more_processes_than_examples_are_refused(dataset: Path, model: ModelSettings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"processes is 64, and .*dataset.parquet has \d\d example\(s\) to train on"):
        train(tmp_path, dataset, model, batch_size=64, hardware={"processes": 64})


# Attempts of the program


def test_a_failure_that_would_repeat_is_told_again_at_once_until_the_workflow_is_started_anew(
    model: ModelSettings, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.parquet"
    state, adapter = tmp_path / "state", tmp_path / "adapter"
    first = run(command(tmp_path, missing, model))
    assert first.returncode == 1
    assert is_hopeless(state, adapter)
    again = run(command(tmp_path, missing, model, "--attempt", "2"))
    assert (again.returncode, again.stderr) == (1, first.stderr)
    assert "missing.parquet" in first.stderr
    assert "Traceback" not in first.stderr
    begin(record_of(state, adapter), 1, continuations=30, failures=2)
    assert not is_hopeless(state, adapter)


# Memory


def test_less_memory_is_tried_step_by_step() -> None:
    large = Footprint(tokens_per_pass=8192, activation_checkpointing=False)
    assert large.smaller(1024) == Footprint(4096, activation_checkpointing=False)
    assert large.smaller(1024).smaller(1024).smaller(1024) == Footprint(2048, activation_checkpointing=True)
    forced = Footprint(2000, activation_checkpointing=False, may_checkpoint=False)
    assert forced.smaller(300).tokens_per_pass == 1000
    with pytest.raises(InputError, match="out of memory with a single example of 2500 tokens"):
        forced.smaller(2500)


def test_what_fitted_is_known_to_the_job_that_continues(tmp_path: Path) -> None:
    Footprint(512, activation_checkpointing=True).save(tmp_path)
    assert Footprint(4096, activation_checkpointing=False).saved(tmp_path) == Footprint(512, True)
    assert Footprint(256, activation_checkpointing=False, may_checkpoint=False).saved(tmp_path).tokens_per_pass == 256


def with_little_memory(tokens: int) -> Any:
    """A model that runs out of memory in passes of more tokens, as a GPU does."""

    def check(module: Any, given: Any, named: dict[str, Any]) -> None:
        if named["input_ids"].numel() > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    def start_with_little_memory(*given: Any) -> Any:
        loaded = start(*given)
        loaded.get_base_model().register_forward_pre_hook(check, with_kwargs=True)
        return loaded

    return start_with_little_memory


@pytest.mark.parametrize("layout", ["packed", "padded"])
def test_out_of_memory_makes_smaller_passes_of_the_same_steps_and_says_so(
    layout: str,
    undisturbed: Path,
    dataset: Path,
    model: ModelSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("llamaduo.training.model.start", with_little_memory(150))
    keys: dict[str, Any] = {"activation_checkpointing": False, "hardware": {"layout": layout, "tokens_per_pass": 1000}}
    rows = train(tmp_path, dataset, model, **keys)
    expected = read_rows(undisturbed / "training.parquet", TRAINING)
    assert [row["tokens"] for row in rows] == [row["tokens"] for row in expected]
    assert [row["loss"] for row in rows] == pytest.approx([row["loss"] for row in expected], abs=1e-4)
    said = capfd.readouterr().err
    assert "out of memory with forward passes of up to 1000 tokens" in said
    assert "forward passes are of at most 125 tokens; optimiser steps stay at 8 examples" in said
    chosen = json.loads((tmp_path / "training-machine.json").read_text())["chosen"]
    assert (chosen["tokens_per_pass"], chosen["layout"]) == (125, layout)


def test_an_example_that_does_not_fit_at_all_is_told(
    dataset: Path, model: ModelSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamaduo.training.model.start", with_little_memory(20))
    with pytest.raises(
        InputError, match=r"out of memory with a single example of \d+ tokens: lower training.max_length"
    ):
        train(tmp_path, dataset, model, hardware={"layout": "padded"})
