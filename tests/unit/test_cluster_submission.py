"""sbatch is asked again for what may pass. It is played by shell scripts here; tests/slurm has a real cluster."""

import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from llamaduo.cli.errors import ServiceError
from llamaduo.cluster.queue import NO_SUCH_JOB, ask, cancel_all_named, read_states
from llamaduo.cluster.submission import ArrayRefused, Lanes, Submissions

CALL = "sbatch --parsable --job-name run-1 --comment rule_judge --wrap='echo done'"
ARRAY = CALL.replace(" --wrap", " --array=1-2 --wrap")
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
    monkeypatch.setattr("llamaduo.cluster.submission.FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("llamaduo.cluster.queue.PAUSE_SECONDS", 0.01)
    return folder


def write(programs: Path, name: str, script: str) -> None:
    file = programs / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def fails_once(programs: Path, complaint: str, then: str) -> str:
    (programs / "down").touch()
    return f"[ -e {programs}/down ] && {{ rm {programs}/down; echo '{complaint}' >&2; exit 1; }}\n{then}"


def submit(call: str = CALL, known: frozenset[str] = frozenset()) -> tuple[int, str, str, list[str]]:
    """What came of a submission: status, output, complaint, and the lines that told of waiting."""
    told: list[str] = []
    process = Submissions(threading.Event(), told.append, known).Popen(
        call, shell=True, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, complaint = process.communicate(None)
    return process.returncode, out, complaint, told


def test_a_job_is_submitted_again_after_an_outage(programs: Path) -> None:
    write(programs, "sbatch", fails_once(programs, DOWN, "echo 7"))
    write(programs, "squeue", ":")

    status, out, _, told = submit()

    assert (status, out) == (0, "7\n")
    assert len(told) == 1
    assert DOWN in told[0]


def test_a_job_that_was_taken_although_no_answer_came_is_not_submitted_again(programs: Path) -> None:
    lost = "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"
    write(programs, "sbatch", fails_once(programs, lost, "echo 9"))
    rows = [
        ["6", "FAILED", "", "0:01", "", "rule_judge", "run-1", "/there"],  # an earlier attempt
        ["7", "RUNNING", "n1", "0:01", "", "rule_judge", "run-0", "/there"],  # of an earlier start
        ["8_1", "RUNNING", "n1", "0:01", "", "rule_judge", "run-1", "/there"],
    ]
    (programs / "rows").write_text("".join("\x1f".join(row) + "\n" for row in rows))
    write(programs, "squeue", f"cat {programs}/rows")

    assert submit(known=frozenset({"6"}))[:2] == (0, "8\n")


def test_what_will_not_pass_is_told_at_once(programs: Path) -> None:
    complaint = "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified"
    write(programs, "sbatch", f"echo '{complaint}' >&2; exit 1")

    status, out, told, waits = submit()

    assert (status, out, told.strip(), waits) == (1, "", complaint, [])


def test_jobs_over_the_limit_wait_and_an_array_is_refused(programs: Path) -> None:
    write(programs, "sbatch", fails_once(programs, FULL, "echo 7"))
    write(programs, "squeue", ":")
    assert submit()[:2] == (0, "7\n")

    write(programs, "sbatch", f"echo '{FULL}' >&2; exit 1")
    submissions = Submissions(threading.Event(), print, ())
    submissions.take_array(["echo first", "echo second"])
    with pytest.raises(ArrayRefused):
        submissions.Popen(ARRAY, shell=True, text=True, stderr=subprocess.PIPE).communicate()


def test_a_task_of_an_array_runs_its_own_command_only(programs: Path) -> None:
    write(programs, "sbatch", f'cat > {programs}/script; echo "$@" > {programs}/options; echo 7')
    submissions = Submissions(threading.Event(), print, ())
    submissions.take_array(["echo first", "echo 'second \"one\"'"])
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    assert submissions.Popen(ARRAY, shell=True, text=True, **pipes).communicate() == ("7\n", "")

    assert (programs / "options").read_text().endswith("--array=1-2 /dev/stdin\n")
    ran = subprocess.run(
        ["sh", programs / "script"], env={"SLURM_ARRAY_TASK_ID": "2"}, capture_output=True, text=True, check=True
    )
    assert ran.stdout == 'second "one"\n'


def test_waiting_ends_when_the_workflow_does(programs: Path) -> None:
    write(programs, "sbatch", f"echo '{DOWN}' >&2; exit 1")
    stopped = threading.Event()
    stopped.set()
    process = Submissions(stopped, print, ()).Popen(CALL, shell=True, text=True, stderr=subprocess.PIPE)
    process.communicate()
    assert process.returncode == 1


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
