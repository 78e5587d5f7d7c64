"""The main process is killed while its jobs run. The same command, given again, is all that is needed."""

import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from cluster import told
from on_cluster import ADAPTER, OTHER_ADAPTER, Job, OnCluster
from processes import wait_until
from service_process import Service, running_service
from workspace import NOTHING, Workspace

from llamaduo.cluster import submitted
from llamaduo.simulated.log import count_served
from llamaduo.storage.canonical import digest_folder

GRADES = "results/baselines/animals/writer/grades/grader.parquet"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with running_service(tmp_path / "service", latency_seconds=1.0) as service:
        yield service


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def leave_trainings(there: OnCluster, *adapters: str) -> dict[str, tuple[Job, psutil.Process]]:
    """Kill the main process in the middle of trainings, which then stand still until they are resumed."""

    with there.started(*adapters) as process:
        there.wait_until(lambda: there.trainings_under_way() == len(adapters), process)
        programs = there.programs("finetune.py")
        for program in programs:
            program.suspend()
        kill(process)
    jobs = {job.id: job for job in there.jobs("finetune", states="running")}
    sent = submitted.read(there.folder / "results" / submitted.SUBMITTED).values()
    left = {job.output: jobs[job.id] for job in sent if job.id in jobs}
    of = {adapter: program for adapter in adapters for program in programs if adapter in program.cmdline()}
    assert len(left) == len(of) == len(adapters)
    return {adapter: (left[adapter], of[adapter]) for adapter in adapters}


def go_on(there: OnCluster, program: psutil.Process, *adapters: str) -> str:
    """The same command; a training that it waits for goes on once it is told to."""
    with there.started(*adapters) as process:
        there.wait_until(lambda: "waiting for it" in there.output(), process)
        program.resume()
        return there.finish(process)


def states(there: OnCluster) -> dict[str, str]:
    return {job.id: job.state for job in there.jobs("finetune")}


def test_a_training_that_outlives_its_main_process_is_waited_for_and_accepted(
    training: OnCluster, trained: Workspace
) -> None:
    """And one of which only the name is known, since the process was killed before it noted the job, is not doubled."""
    left = leave_trainings(training, ADAPTER, OTHER_ADAPTER)
    (known, program), (unknown, _) = left[ADAPTER], left[OTHER_ADAPTER]
    notes = training.folder / "results" / submitted.SUBMITTED
    notes.write_text("".join(line for line in notes.open() if OTHER_ADAPTER not in line))

    output = go_on(training, program, ADAPTER, OTHER_ADAPTER)

    assert f"left by an earlier start: job {known.id}: finetune: RUNNING: waiting for it" in output
    assert f"left by an earlier start: job {unknown.id}: rule_finetune" in output
    assert f"accepted, from an earlier start: finetune: {ADAPTER}" in output
    (again,) = states(training).keys() - {known.id, unknown.id}
    assert states(training) == {known.id: "COMPLETED", unknown.id: "CANCELLED", again: "COMPLETED"}
    assert digest_folder(training.folder / ADAPTER) == digest_folder(trained.folder / ADAPTER)
    assert NOTHING in training.run(ADAPTER, OTHER_ADAPTER)
    # Its provenance is there: a changed setting is noticed, as after any other training.
    training.workspace.change("training.learning_rate", 5.0e-4)
    assert training.workspace.plan(ADAPTER) == {"finetune": 1}


def test_a_result_is_not_accepted_when_its_settings_have_changed_since(training: OnCluster) -> None:
    """And a job that is not through yet is ended: its result would pass for one of the new settings."""
    left = leave_trainings(training, ADAPTER, OTHER_ADAPTER)
    (ended, program), (running, _) = left[ADAPTER], left[OTHER_ADAPTER]
    program.resume()
    wait_until(lambda: states(training)[ended.id] == "COMPLETED", "the end of the training", None)
    training.workspace.change("training.learning_rate", 5.0e-4)

    output = training.run(ADAPTER, OTHER_ADAPTER)

    assert (
        f"rejected, since settings, code or inputs have changed, from an earlier start: finetune: {ADAPTER}" in output
    )
    assert f"left by an earlier start: job {running.id}: finetune: RUNNING: cancelled" in output
    again = states(training).keys() - {ended.id, running.id}
    assert len(again) == 2
    assert states(training) == {ended.id: "COMPLETED", running.id: "CANCELLED", **dict.fromkeys(again, "COMPLETED")}
    ends = submitted.read_ends(training.folder / "results" / submitted.SUBMITTED)
    assert ends.keys() == {running.id}, "its GPU hours count"


def test_the_main_process_may_be_a_job_itself_that_is_submitted_again(training: OnCluster, trained: Workspace) -> None:
    """Where login nodes allow no long processes. Its time ends before the training's; the next goes on from there."""

    def submit(*options: str) -> str:
        command = f"exec {shlex.join(training.command(ADAPTER))}"
        asked = ["sbatch", "--parsable", "--partition=cpu", "--mem=2000", "--job-name=main", *options]
        asked += [f"--output={training.folder / 'output.txt'}", f"--wrap={command}"]
        environment = training.environment | {"LLAMADUO_LEFT_JOBS": "cancel"}
        done = subprocess.run(
            asked, cwd=training.folder, env=environment, capture_output=True, text=True, timeout=400, check=False
        )
        assert done.returncode == 0, done.stderr + training.output()
        return done.stdout.strip()

    def state_of(id: str) -> str:
        return told("squeue", "--noheader", "--states=all", f"--jobs={id}", "--format=%T").strip()

    first = submit()
    wait_until(training.is_training, "a training under way", training.folder / "output.txt", seconds=200)
    training.program("finetune.py").suspend()
    subprocess.run(["scancel", first], check=True)
    wait_until(lambda: state_of(first) == "CANCELLED", "the end of the main process", None)
    assert [job.state for job in training.jobs("finetune")] == ["RUNNING"]

    second = submit("--wait")

    assert state_of(second) == "COMPLETED"
    assert "left by an earlier start" in training.output()
    assert [job.state for job in training.jobs("finetune")] == ["CANCELLED", "COMPLETED"]
    assert "continuing from" in training.training_log()
    assert digest_folder(training.folder / ADAPTER) == digest_folder(trained.folder / ADAPTER)


def test_left_jobs_are_cancelled_on_request_and_go_on(
    training: OnCluster, trained: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_trainings(training, ADAPTER)
    monkeypatch.setenv("LLAMADUO_LEFT_JOBS", "kill")
    assert "must be wait or cancel" in training.run(ADAPTER, status=1)
    monkeypatch.setenv("LLAMADUO_LEFT_JOBS", "cancel")

    training.run(ADAPTER)

    assert [job.state for job in training.jobs("finetune")] == ["CANCELLED", "COMPLETED"]
    assert "continuing from" in training.training_log()
    assert digest_folder(training.folder / ADAPTER) == digest_folder(trained.folder / ADAPTER)


def test_no_call_is_paid_twice_when_a_job_or_the_main_process_ends_while_a_service_is_asked(
    fresh: OnCluster, service: Service
) -> None:
    for key, value in (("base_url", service.address), ("simulated", True), ("concurrency", 1)):
        fresh.workspace.change(f"services.grader.{key}", value)
    journal = fresh.folder / "state/journal/judging/baselines/animals/writer/grader.jsonl"

    def answers() -> int:
        return len(journal.read_bytes().splitlines()) if journal.exists() else 0

    with fresh.started(GRADES) as process:
        fresh.wait_until(lambda: answers() >= 2, process)
        (job,) = fresh.jobs("judge", states="running")
        subprocess.run(["scancel", job.id], check=True)
        fresh.wait_until(lambda: len(fresh.jobs("judge")) == 2, process)
        before = answers()
        fresh.wait_until(lambda: answers() > before, process)
        kill(process)
    fresh.run(GRADES)

    served = count_served(service.log)
    assert (served.distinct, served.repeated) == (answers(), 0)
    assert [job.state for job in fresh.jobs("judge")] == ["CANCELLED", "COMPLETED"]


def test_a_second_main_process_in_the_same_folder_stops(training: OnCluster) -> None:
    with training.started(ADAPTER) as process:
        training.wait_until(lambda: training.jobs("finetune"), process)
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
