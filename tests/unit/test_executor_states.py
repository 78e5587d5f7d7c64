"""The states of jobs, from rows of SLURM's answers."""

from pathlib import Path

import pytest

from snakemake_executor_plugin_llamaduo.states import (
    GONE,
    NEVER_SEEN_ANSWERS,
    PREEMPTED_ANSWERS,
    UNSEEN_ANSWERS,
    JobStates,
    ran_out_of_memory,
)


def test_a_cancelled_job_is_cancelled_whoever_did_it() -> None:
    assert JobStates().settle({"7": "CANCELLED by 1000", "8": "COMPLETED"}, {"7", "8"}) == {
        "7": "CANCELLED",
        "8": "COMPLETED",
    }


def test_a_preempted_job_has_ended_when_slurm_does_not_put_it_back_into_the_queue() -> None:
    states = JobStates()
    told = [states.settle({"7": "PREEMPTED"}, {"7"})["7"] for _ in range(PREEMPTED_ANSWERS)]
    assert told == ["REQUEUED"] * (PREEMPTED_ANSWERS - 1) + ["CANCELLED"]


def test_a_preempted_job_that_is_queued_again_goes_on() -> None:
    states = JobStates()
    for _ in range(3):
        assert states.settle({"7": "PREEMPTED"}, {"7"})["7"] == "REQUEUED"
        assert states.settle({"7": "PENDING"}, {"7"})["7"] == "PENDING"


def test_a_job_that_slurm_has_forgotten_is_gone_after_some_answers() -> None:
    states = JobStates()
    states.settle({"7": "RUNNING"}, {"7"})
    for _ in range(UNSEEN_ANSWERS - 1):
        assert states.settle({}, {"7"}) == {}
    assert states.settle({}, {"7"}) == {"7": GONE}


def test_a_job_that_was_never_told_is_waited_for_much_longer() -> None:
    """Accounting that is behind has not lost it."""
    states = JobStates()
    for _ in range(NEVER_SEEN_ANSWERS - 1):
        assert states.settle({}, {"7"}) == {}
    assert states.settle({}, {"7"}) == {"7": GONE}


def test_a_job_that_is_seen_in_between_is_not_gone() -> None:
    states = JobStates()
    for _ in range(UNSEEN_ANSWERS):
        assert GONE not in states.settle({}, {"7"}).values() or UNSEEN_ANSWERS == 1
        states.settle({"7": "RUNNING"}, {"7"})


def test_waiting_tasks_of_an_array_are_told_together() -> None:
    states = JobStates()
    for _ in range(UNSEEN_ANSWERS + 1):
        told = states.settle({"7_1": "RUNNING", "7_[2-4]": "PENDING"}, {"7_1", "7_2", "7_4"})
        assert GONE not in told.values()


def test_tasks_of_an_array_that_never_began_are_told_in_one_row() -> None:
    active = {"7_1", "7_2", "7_4", "7_9", "8_2"}
    told = JobStates().settle({"7_1": "RUNNING", "7_[2-4,9%2]": "CANCELLED by 0"}, active)
    assert {job: told.get(job) for job in active} == {
        "7_1": "RUNNING",
        **dict.fromkeys(("7_2", "7_4", "7_9"), "CANCELLED"),
        "8_2": None,
    }


def test_what_slurm_has_forgotten_is_remembered() -> None:
    states = JobStates()
    states.settle({"7": "RUNNING", "8": "RUNNING"}, {"7", "8"})
    for _ in range(UNSEEN_ANSWERS):
        states.settle({"8": "COMPLETED"}, {"7", "8"})
    assert states.gone == {"7"}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "slurmstepd: error: Detected 1 oom_kill event in StepId=11.0. Some of the step tasks have been OOM Killed.",
            True,
        ),
        ("slurmstepd-node2: error: StepId=11.0 exceeded memory limit (426160128 > 420478976), being killed", True),
        ("slurmstepd: error: *** STEP 11.0 ON node2 CANCELLED AT 2026-11-21T07:24:49 DUE TO TIME LIMIT ***", False),
        ("error: torch.OutOfMemoryError: CUDA out of memory", False),
    ],
)
def test_running_out_of_main_memory_is_told_by_slurms_log(tmp_path: Path, line: str, told: bool) -> None:
    log = tmp_path / "11.log"
    log.write_text(f"loading\n{line}\nsrun: error\n")
    assert ran_out_of_memory("SLURM status is: 'FAILED'", log) == told
    assert ran_out_of_memory("SLURM status is: 'OUT_OF_MEMORY'", None)
    assert not ran_out_of_memory("SLURM status is: 'FAILED'", tmp_path), "no log can be read there"
