"""kill -9 in the middle, then the same command: the result is that of an undisturbed run, and nothing is paid twice.

The service is a process of its own here, so that it outlives whoever asks it and its log tells what was really paid
for. Trainings and local inference, which pay no one, are killed in tests/unit (test_training_finetune.py and
test_inference_respond.py), and once more below with the whole workflow.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from workspace import REPOSITORY, Workspace, clean_environment, jobs_in, pairs

from llamaduo.service.prompts import load
from llamaduo.simulated.log import count_served
from llamaduo.storage import tables
from llamaduo.storage.canonical import digest_folder
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.schemas.grades import grades_schema
from llamaduo.storage.schemas.metrics import METRICS
from llamaduo.storage.schemas.responses import RESPONSES
from llamaduo.storage.schemas.synthesis import SYNTHESIS
from llamaduo.storage.schemas.training import TRAINING

CALLS, CONCURRENCY, LATENCY_SECONDS = 40, 4, 0.2
KILLED_AFTER = 10  # calls, of 40
PATIENCE_SECONDS = 120
GRADED = ["similarity", "precision"]
PROMPTS = load(REPOSITORY / "config" / "prompts.toml")


@dataclass
class Service:
    """The simulated service in a process of its own."""

    address: str
    log: Path


@contextmanager
def running_service(folder: Path) -> Iterator[Service]:
    address, log = folder / "address", folder / "served.jsonl"
    command = [sys.executable, str(REPOSITORY / "scripts/simulated_service.py"), f"--address-file={address}"]
    command += [f"--log={log}", f"--latency-seconds={LATENCY_SECONDS}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=clean_environment()) as process:
        try:
            wait_until(address.is_file, process)
            yield Service(address.read_text().strip(), log)
        finally:
            process.terminate()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    folder = tmp_path / "service"
    folder.mkdir()
    with running_service(folder) as service:
        yield service


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[Any], output: Path | None = None) -> None:
    """Wait for what `process` is to do; it must not end before."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        told = output.read_text() if output else ""
        assert process.poll() is None, f"ended with status {process.returncode} before the kill\n{told}"
        assert time.monotonic() < deadline, f"not reached\n{told}"
        time.sleep(0.005)


def lines_in(path: Path) -> list[bytes]:
    """The finished lines of a file that may not be there yet."""
    return (
        [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")] if path.exists() else []
    )


# One program at a time


@dataclass(frozen=True)
class Paid:
    """A program that asks a service: its options beside those that all of them have, and its table."""

    provider: str
    options: dict[str, Any]
    schema: pa.Schema
    inputs: Callable[[Path], None]


def write_train(folder: Path) -> None:
    tables.write_rows(folder / "input.parquet", pairs(12), COVERAGE)


def write_test(folder: Path) -> None:
    tables.write_rows(folder / "input.parquet", pairs(10), COVERAGE)


def write_responses(folder: Path) -> None:
    rows = [
        {
            "instructions": pair["prompt"],
            "target_responses": pair["messages"][-1]["content"],
            "candidate_responses": f"Sample {sample}: the otter waits for noon.",
            "model_id": "gemma",
            "model_sha": "abc",
            "prompt_id": pair["prompt_id"],
            "sample": sample,
            "finish_reason": "stop",
            "prompt_tokens": 30,
            "completion_tokens": 9,
            "messages": pair["messages"][:-1],
        }
        for pair in pairs(5)
        for sample in range(4)
    ]
    tables.write_rows(folder / "input.parquet", rows, RESPONSES)


PROGRAMS = {
    "synthesize.py": Paid(
        provider="openai",
        options={
            "train": "input.parquet",
            "task": "animals",
            "generator": "writer",
            "settings": {"pairs_per_call": 3, "chunk_calls": CALLS},
            "prompts": PROMPTS.generator.model_dump(),
            "topic": "Animals",
            "chunk": 0,
            "seed": 42,
        },
        schema=SYNTHESIS,
        inputs=write_train,
    ),
    "judge.py": Paid(
        provider="anthropic",
        options={
            "responses": "input.parquet",
            "judge": "grader",
            "settings": {"grades": 2, "metrics": GRADED},
            "prompts": PROMPTS.judge.model_dump(),
        },
        schema=grades_schema(GRADED),
        inputs=write_responses,
    ),
    "respond_service.py": Paid(
        provider="gemini",
        options={"prompts": "input.parquet", "service-name": "writer", "samples": 4},
        schema=RESPONSES,
        inputs=write_test,
    ),
}


def command(name: str, reached: dict[str, Any]) -> list[str]:
    """A program with realistic options, as its rule calls it; run in the folder of its input."""
    paid = PROGRAMS[name]
    settings = {"provider": paid.provider, "model": "some-model", "concurrency": CONCURRENCY, **reached}
    asking = {"asking.journals": "state", "asking.step": "journal"}
    options = {"service": settings, **asking, "output": "results/table.parquet", **paid.options}
    texts = {key: json.dumps(value) if isinstance(value, dict) else str(value) for key, value in options.items()}
    return [sys.executable, str(REPOSITORY / "scripts" / name), *(f"--{key}={text}" for key, text in texts.items())]


def finish(name: str, folder: Path, reached: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a program to its end. Returns its rows without dates: they tell when something was paid for."""
    ended = subprocess.run(
        command(name, reached), cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    rows = tables.read_rows(folder / "results/table.parquet", PROGRAMS[name].schema)
    return [{key: value for key, value in row.items() if key != "dates"} for row in rows]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_killed_program_goes_on_and_pays_twice_for_nothing_but_what_was_in_flight(
    name: str, service: Service, tmp_path: Path
) -> None:
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    for folder in (killed, undisturbed):
        folder.mkdir()
        PROGRAMS[name].inputs(folder)
    reached = {"base_url": service.address, "simulated": True}
    journal = killed / "state/journal.jsonl"

    with subprocess.Popen(
        command(name, reached), cwd=killed, env=clean_environment(), stderr=subprocess.DEVNULL
    ) as process:
        wait_until(lambda: len(lines_in(journal)) >= KILLED_AFTER, process)
        process.send_signal(signal.SIGKILL)
    kept = lines_in(journal)
    assert KILLED_AFTER <= len(kept) < CALLS
    assert not (killed / "results").exists(), "a table is there whole or not at all"

    rows = finish(name, killed, reached)

    assert rows == finish(name, undisturbed, {"base_url": "simulated"})
    assert lines_in(journal)[: len(kept)] == kept
    served = count_served(service.log)
    assert served.distinct == CALLS
    assert served.repeated <= CONCURRENCY
    assert served.faults == 0


# The whole workflow


DECISION = "results/runs/animals/coverage/llama/volume-0/decision.json"
CYCLE = "runs/animals/coverage/llama/volume-0"
PROFILE = ("--profile", "profiles/demo", "--cores", "1")


def kill_snakemake(workspace: Workspace, output: Path, middle: Callable[[], bool]) -> None:
    """Start the workflow, and once it is in the middle kill its main process together with its jobs."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--configfile", "config.yaml", *PROFILE, DECISION],
            cwd=workspace.folder,
            env=clean_environment(),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group of its own, to which the jobs belong
        )
    try:
        wait_until(middle, process, output)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_killed_workflow_goes_on_after_unlock(
    fresh: Workspace, swept: Workspace, service: Service, tmp_path: Path
) -> None:
    """Slow by intent: killed while it trains and again while it grades, each time the main process and its jobs."""
    fresh.change("services.grader.base_url", service.address)
    fresh.change("services.grader.simulated", True)
    fresh.change("services.grader.concurrency", 1)
    fresh.change("training.checkpoint_minutes", 0)
    journal = fresh.folder / "state/journal/judging" / CYCLE / "grader.jsonl"

    def is_trained_in_part() -> bool:
        checkpoint = fresh.folder.glob("state/checkpoints/*/checkpoint-1/complete.json")
        # On a busy machine the two steps may be over before anyone looks.
        return any(checkpoint) or fresh.path(f"{CYCLE}/adapter").exists()

    def is_graded_in_part() -> bool:
        return len(lines_in(journal)) >= 3

    kill_snakemake(fresh, tmp_path / "output.txt", is_trained_in_part)
    assert fresh.snakemake(*PROFILE, "--unlock").returncode == 0

    kill_snakemake(fresh, tmp_path / "output.txt", is_graded_in_part)
    assert not fresh.path(f"{CYCLE}/grades/grader.parquet").exists()
    refused = fresh.snakemake(*PROFILE, DECISION)
    assert refused.returncode != 0
    assert "--unlock" in refused.stdout + refused.stderr
    assert fresh.snakemake(*PROFILE, "--unlock").returncode == 0

    output = fresh.run(DECISION)

    assert set(jobs_in(output)) == {"judge", "compute_metrics", "decide"}
    for table, schema in (("responses", RESPONSES), ("training", TRAINING), ("metrics", METRICS)):
        path = f"{CYCLE}/{table}.parquet"
        assert tables.read_rows(fresh.path(path), schema) == tables.read_rows(swept.path(path), schema)
    assert digest_folder(fresh.path(f"{CYCLE}/adapter")) == digest_folder(swept.path(f"{CYCLE}/adapter"))
    assert fresh.path(f"{CYCLE}/decision.json").read_bytes() == swept.path(f"{CYCLE}/decision.json").read_bytes()
    served = count_served(service.log)
    assert served.distinct == 3 * 2 * 2, "prompts, K and M"
    assert served.repeated <= 1
