"""sbatch is asked again for what may pass. It is played by shell scripts here; tests/slurm has a real cluster."""

import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from llamaduo.cli.errors import ServiceError
from llamaduo.cluster.queue import NO_SUCH_JOB, ask, cancel_all_named, read_states
from snakemake_executor_plugin_llamaduo.submission import (
    ArrayRefusedError,
    Lanes,
    SubmissionError,
    Submissions,
    id_in,
    script_of,
)

CALL = "sbatch --parsable --job-name run-1 --comment rule_judge"
ARRAY = f"{CALL} --array=1-2"
SCRIPT = script_of(["echo done"])
DOWN = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)"
FULL = "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Job violates accounting/QOS policy (job submit limit)"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that come before those of the machine; waiting takes no time."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "cat", "rm", "echo", "sleep"):
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("snakemake_executor_plugin_llamaduo.submission.FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("llamaduo.cluster.queue.PAUSE_SECONDS", 0.01)
    return folder


def write(programs: Path, name: str, script: str) -> None:
    file = programs / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def fails_once(programs: Path, complaint: str, then: str) -> str:
    (programs / "down").touch()
    return f"[ -e {programs}/down ] && {{ rm {programs}/down; echo '{complaint}' >&2; exit 1; }}\n{then}"


def submit(call: str = CALL, known: frozenset[str] = frozenset()) -> tuple[str, list[str]]:
    """The id that a submission gave, and the lines that reported waiting."""
    reported: list[str] = []
    return Submissions(threading.Event(), reported.append, known).submit(call, SCRIPT), reported


def test_a_job_is_submitted_again_after_an_outage(programs: Path) -> None:
    write(programs, "sbatch", fails_once(programs, DOWN, "echo 7"))
    write(programs, "squeue", ":")

    id, reported = submit()

    assert id == "7"
    assert len(reported) == 1
    assert DOWN in reported[0]


def taken_meanwhile(programs: Path) -> None:
    """squeue tells of a job of this name and comment that is not known yet."""
    rows = [
        ["6", "FAILED", "", "0:01", "", "rule_judge", "run-1", "/there"],  # an earlier attempt
        ["7", "RUNNING", "n1", "0:01", "", "rule_judge", "run-0", "/there"],  # of an earlier start
        ["8_1", "RUNNING", "n1", "0:01", "", "rule_judge", "run-1", "/there"],
    ]
    (programs / "rows").write_text("".join("\x1f".join(row) + "\n" for row in rows))
    write(programs, "squeue", f"cat {programs}/rows")


def test_a_job_that_was_taken_although_no_answer_came_is_not_submitted_again(programs: Path) -> None:
    lost = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
    write(programs, "sbatch", fails_once(programs, lost, "echo 9"))
    taken_meanwhile(programs)

    assert submit(known=frozenset({"6"}))[0] == "8"


def test_a_job_whose_id_is_not_printed_is_looked_for_in_the_queue(programs: Path) -> None:
    """Submitted again, it would run twice."""
    write(programs, "sbatch", "echo 'Welcome! Quota: 17 of 20 TB used'")
    taken_meanwhile(programs)

    assert submit(known=frozenset({"6"}))[0] == "8"
    with pytest.raises(SubmissionError, match="no job's id in what sbatch has printed: 'Welcome!"):
        submit(known=frozenset({"6", "8"}))


@pytest.mark.parametrize(
    ("printed", "id"),
    [
        ("7\n", "7"),
        ("7;cluster\n", "7"),
        ("-----\nWelcome to node 12\n--> Verifying 4 things...OK\n 2026\n7\n", "7"),
        ("7\nYour project has 3 days left\n", "7"),
        ("No reservation for 17\nSubmitted batch job 7 on cluster green\n", "7"),
        ("Verifying 4 things\n", None),
        ("", None),
    ],
)
def test_a_jobs_id_is_found_among_what_a_site_prints(printed: str, id: str | None) -> None:
    assert id_in(printed) == id


def test_what_will_not_pass_is_told_at_once(programs: Path) -> None:
    complaint = "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified"
    write(programs, "sbatch", f"echo '{complaint}' >&2; exit 1")

    with pytest.raises(SubmissionError, match="Invalid account"):
        submit()


def test_jobs_over_the_limit_wait_and_an_array_is_refused(programs: Path) -> None:
    write(programs, "sbatch", fails_once(programs, FULL, "echo 7"))
    write(programs, "squeue", ":")
    assert submit()[0] == "7"

    write(programs, "sbatch", f"echo '{FULL}' >&2; exit 1")
    with pytest.raises(ArrayRefusedError):
        submit(ARRAY)


def test_a_task_of_an_array_runs_its_own_command_only(programs: Path) -> None:
    write(programs, "sbatch", f'cat > {programs}/script; echo "$@" > {programs}/options; echo 7')
    script = script_of(["echo first", "echo 'second \"one\"'"])

    assert Submissions(threading.Event(), print, ()).submit(ARRAY, script) == "7"

    assert (programs / "options").read_text().endswith("--array=1-2\n")
    ran = subprocess.run(
        ["sh", programs / "script"], env={"SLURM_ARRAY_TASK_ID": "2"}, capture_output=True, text=True, check=True
    )
    assert ran.stdout == 'second "one"\n'


def test_a_job_is_not_over_before_its_program_has_saved(tmp_path: Path) -> None:
    """SLURM sends SIGTERM to all processes of a job, and kills them when its script ends."""
    program = tmp_path / "program"
    program.write_text(
        "#!/bin/sh\ntrap 'sleep 0.5; touch saved; exit 75' TERM\ntouch begun\nwhile :; do sleep 0.1; done\n"
    )
    program.chmod(0o755)
    (tmp_path / "script").write_text(script_of([str(program)]))

    with subprocess.Popen(["sh", "script"], cwd=tmp_path, start_new_session=True) as job:
        while not (tmp_path / "begun").exists():
            assert job.poll() is None
        os.killpg(job.pid, signal.SIGTERM)
        status = job.wait(timeout=60)

    assert (tmp_path / "saved").exists()
    assert status == 75


def test_waiting_ends_when_the_workflow_does(programs: Path) -> None:
    write(programs, "sbatch", f"echo '{DOWN}' >&2; exit 1")
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(SubmissionError, match="Unable to contact"):
        Submissions(stopped, print, ()).submit(CALL, SCRIPT)


def test_a_controller_that_is_silent_is_asked_again_for_some_time(programs: Path) -> None:
    write(programs, "squeue", fails_once(programs, DOWN, "echo '7|RUNNING'; echo '8_[1-3]|PENDING'"))
    with pytest.raises(ServiceError, match="Unable to contact"):
        ask("squeue")

    (programs / "down").touch()
    assert "RUNNING" in ask("squeue", patience=60)
    assert read_states("squeue --noheader") == {"7": "RUNNING", "8_[1-3]": "PENDING"}


def test_a_job_that_has_ended_needs_no_cancelling(programs: Path) -> None:
    gone = "scancel: error: Kill job error on job id 7: Invalid job id specified"
    assert NO_SUCH_JOB.search(gone)
    write(programs, "scancel", f"echo '{gone}' >&2; exit 1")
    cancel_all_named("run-1", patience=60)

    write(programs, "scancel", f"echo '{DOWN}' >&2; exit 1")
    with pytest.raises(ServiceError, match="Unable to contact"):
        cancel_all_named("run-1")


def test_a_partition_that_takes_no_more_keeps_no_other_waiting() -> None:
    lanes, room, started = Lanes(str), threading.Event(), threading.Semaphore(0)

    def submit_one(partition: str) -> str:
        started.release()
        return partition if partition == "cpu" or room.wait(60) else "never"

    waiting = [lanes.submit(submit_one, "gpu") for _ in range(3)]
    assert started.acquire(timeout=60)
    assert started.acquire(timeout=60)
    assert lanes.submit(submit_one, "cpu").result(timeout=60) == "cpu"
    assert not any(future.done() for future in waiting)

    room.set()
    lanes.shutdown()
    assert [future.result(timeout=0) for future in waiting] == ["gpu"] * 3
    with pytest.raises(RuntimeError, match="no longer"):
        lanes.submit(submit_one, "cpu")


def test_what_has_not_begun_is_given_up_at_the_end() -> None:
    lanes, room, started = Lanes(str), threading.Event(), threading.Semaphore(0)

    def submit_one(_: str) -> None:
        started.release()
        room.wait(60)

    futures = [lanes.submit(submit_one, "gpu") for _ in range(4)]
    assert started.acquire(timeout=60)
    assert started.acquire(timeout=60)
    threading.Timer(0.2, room.set).start()
    lanes.shutdown(wait=True, cancel_futures=True)

    assert [future.cancelled() for future in futures] == [False, False, True, True]
