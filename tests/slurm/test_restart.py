"""The main process is killed while its jobs run. The same command, given again, is all that is needed."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from on_cluster import ADAPTER, OnCluster
from service_process import Service, running_service
from workspace import NOTHING, Workspace

from llamaduo.canonical import digest_folder
from llamaduo.simulated.log import count_served

GRADES = "results/baselines/animals/writer/grades/grader.parquet"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with running_service(tmp_path / "service", latency_seconds=1.0) as service:
        yield service


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_training_that_outlives_its_main_process_is_waited_for_and_accepted(
    training: OnCluster, trained: Workspace
) -> None:
    with training.started(ADAPTER) as process:
        training.wait_until(training.is_training, process)
        kill(process)
    (left,) = training.jobs("finetune", states="running")

    output = training.run(ADAPTER)

    assert f"left by an earlier start: job {left.id}: finetune" in output
    assert "accepted, from an earlier start: finetune" in output
    assert [job.state for job in training.jobs("finetune")] == ["COMPLETED"], "no second copy was submitted"
    assert digest_folder(training.folder / ADAPTER) == digest_folder(trained.folder / ADAPTER)
    assert NOTHING in training.run(ADAPTER)
    # Its provenance is there: a changed setting is noticed, as after any other training.
    training.workspace.change("training.learning_rate", 5.0e-4)
    assert training.workspace.plan(ADAPTER) == {"finetune": 1}


def test_a_result_is_not_accepted_when_its_settings_have_changed_since(training: OnCluster) -> None:
    with training.started(ADAPTER) as process:
        training.wait_until(training.is_training, process)
        kill(process)
    training.workspace.change("training.learning_rate", 5.0e-4)

    output = training.run(ADAPTER)

    assert "rejected, since settings, code or inputs have changed, from an earlier start: finetune" in output
    assert [job.state for job in training.jobs("finetune")] == ["COMPLETED", "COMPLETED"]


def test_left_jobs_are_cancelled_on_request_and_go_on(
    training: OnCluster, trained: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with training.started(ADAPTER) as process:
        training.wait_until(training.is_training, process)
        kill(process)
    monkeypatch.setenv("LLAMADUO_LEFT_JOBS", "cancel")

    training.run(ADAPTER)

    assert [job.state for job in training.jobs("finetune")] == ["CANCELLED", "COMPLETED"]
    assert "continuing from" in training.training_log()
    assert digest_folder(training.folder / ADAPTER) == digest_folder(trained.folder / ADAPTER)


def test_no_call_is_paid_twice_when_the_main_process_dies_while_a_service_is_asked(
    fresh: OnCluster, service: Service
) -> None:
    for key, value in (("base_url", service.address), ("simulated", True), ("concurrency", 1)):
        fresh.workspace.change(f"services.grader.{key}", value)
    journal = fresh.folder / "state/journal/judging/baselines/animals/writer/grader.jsonl"

    with fresh.started(GRADES) as process:
        fresh.wait_until(lambda: journal.exists() and len(journal.read_bytes().splitlines()) >= 2, process)
        kill(process)
    fresh.run(GRADES)

    served = count_served(service.log)
    assert (served.distinct, served.repeated) == (len(journal.read_bytes().splitlines()), 0)
    assert [job.state for job in fresh.jobs("judge")] == ["COMPLETED"]


def test_a_second_main_process_in_the_same_folder_stops(training: OnCluster) -> None:
    with training.started(ADAPTER) as process:
        training.wait_until(lambda: training.jobs("read_coverage"), process)
        second = subprocess.run(
            training.command(ADAPTER),
            cwd=training.folder,
            env=training.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode != 0
        assert f"the workflow in results: in use by process {process.pid}" in second.stdout + second.stderr
        kill(process)
