"""What clusters do to jobs, done on a real one. After each the results are those of an undisturbed run.

Most of it happens to one training, since that takes longest; what asks services is in test_restart.py.
"""

import json
import re
import subprocess
import time

from cluster import Cluster, told
from on_cluster import ADAPTER, OTHER_ADAPTER, OnCluster
from workspace import Workspace

from llamaduo.cluster import submitted
from llamaduo.cluster.queue import read_jobs
from llamaduo.storage.canonical import digest_folder

STEP = re.compile(r"continuing from \S*checkpoint-(\d+)")


def assert_same_training(there: OnCluster, undisturbed: Workspace) -> None:
    assert digest_folder(there.folder / ADAPTER) == digest_folder(undisturbed.folder / ADAPTER)


def assert_went_on(there: OnCluster, undisturbed: Workspace) -> None:
    """The last attempt began where the one before it was, and ended as an undisturbed training does."""
    continued = STEP.search(there.training_log())
    assert continued, there.training_log()[-3000:]
    assert int(continued.group(1)) >= 1
    assert_same_training(there, undisturbed)


def test_a_cancelled_training_is_submitted_again_and_goes_on(training: OnCluster, trained: Workspace) -> None:
    """One of an array of two; the other does not notice."""
    with training.started(ADAPTER, OTHER_ADAPTER) as process:
        training.wait_until(lambda: training.trainings_under_way() == 2, process)
        next(one for one in training.programs("finetune.py") if ADAPTER in one.cmdline()).suspend()
        cancelled = training.noted(ADAPTER).id
        subprocess.run(["scancel", cancelled], check=True)
        training.finish(process)

    other, again = training.noted(OTHER_ADAPTER).id, training.noted(ADAPTER).id
    assert {job.id: job.state for job in training.jobs("finetune")} == {
        cancelled: "CANCELLED",
        other: "COMPLETED",
        again: "COMPLETED",
    }
    assert cancelled.split("_")[0] == other.split("_")[0], "one submission"
    assert megabytes_of(again) == megabytes_of(cancelled), "only running out of memory raises it"
    assert submitted.read_ends(training.folder / "results" / submitted.SUBMITTED).keys() == {cancelled}
    assert_went_on(training, trained)


def test_a_training_goes_on_elsewhere_when_its_node_dies(
    training: OnCluster, trained: Workspace, cluster: Cluster
) -> None:
    with training.started(ADAPTER) as process:
        training.wait_until(training.is_training, process)
        (job,) = training.jobs("finetune", states="running")
        cluster.kill_node(job.node)
        try:
            training.finish(process)
        finally:
            cluster.start_node(job.node)

    first, *_, last = training.jobs("finetune")
    assert (first.state, last.state) == ("NODE_FAIL", "COMPLETED")
    assert last.node != first.node
    assert_went_on(training, trained)


def test_a_training_that_meets_its_time_limit_goes_on(training: OnCluster, trained: Workspace) -> None:
    with training.started(ADAPTER) as process:
        training.wait_until(training.is_training, process)
        # It must end in the middle, however fast the machine; one minute is the shortest limit there is.
        training.program("finetune.py").suspend()
        (job,) = training.jobs("finetune", states="running")
        subprocess.run(["scontrol", "update", f"JobId={job.id}", "TimeLimit=1"], check=True)
        training.finish(process)

    assert [job.state for job in training.jobs("finetune")] == ["TIMEOUT", "COMPLETED"]
    assert_went_on(training, trained)


def test_a_training_stops_by_itself_before_its_time_limit_and_goes_on(training: OnCluster, trained: Workspace) -> None:
    """It knows the limit of its job, saves a checkpoint, and has the workflow continue it."""
    # On a busy machine a minute passes before the first step.
    training.site(longest_minutes=3)
    with training.started(ADAPTER) as process:
        training.wait_until(training.is_training, process)
        # It stands still until it has half a minute left, less than it keeps for saving.
        program = training.program("finetune.py")
        program.suspend()
        training.wait_until(lambda: seconds_used(training) > 152, process)
        program.resume()
        training.finish(process)

    assert [job.state for job in training.jobs("finetune")] == ["FAILED", "COMPLETED"], "it was not killed"
    assert re.search(r"stopped at step \d+ of 40, with a checkpoint", training.output())
    assert_went_on(training, trained)


def seconds_used(there: OnCluster) -> float:
    """How long the training's job has run; 0 when it does not."""
    name = there.noted(ADAPTER).id
    return sum(job.seconds for job in read_jobs() if job.id == name)


def preempt(there: OnCluster) -> None:
    """Have a job in the partition that comes first take all nodes with GPUs."""
    urgent = ["sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 2"]
    subprocess.run(urgent, cwd=there.folder, check=True, stdout=subprocess.DEVNULL)


def test_a_preempted_training_goes_on_when_slurm_starts_it_again(training: OnCluster, trained: Workspace) -> None:
    """Slow: SLURM lets two minutes pass before it starts a job again."""
    training.site(preemptible=True)
    with training.started(ADAPTER) as process:
        training.wait_until(training.is_training, process)
        preempt(training)
        training.finish(process)

    (job,) = training.jobs("finetune")
    assert job.state == "COMPLETED"
    assert "Restarts=1" in told("scontrol", "show", "job", job.id)
    assert_went_on(training, trained)


def test_a_preempted_training_goes_on_where_slurm_cancels_it(training: OnCluster, trained: Workspace) -> None:
    subprocess.run(["scontrol", "update", "PartitionName=gpu", "PreemptMode=CANCEL"], check=True)
    try:
        with training.started(ADAPTER) as process:
            training.wait_until(training.is_training, process)
            preempt(training)
            training.finish(process)
    finally:
        subprocess.run(["scontrol", "update", "PartitionName=gpu", "PreemptMode=REQUEUE"], check=True)

    assert [job.state for job in training.jobs("finetune")] == ["PREEMPTED", "COMPLETED"]
    assert_went_on(training, trained)


def test_nothing_happens_while_the_controller_is_down_for_a_minute(
    training: OnCluster, trained: Workspace, cluster: Cluster
) -> None:
    with training.started(ADAPTER) as process:
        training.wait_until(training.is_training, process)
        cluster.stop_controller()
        time.sleep(60)  # as long as a restart with an upgrade takes
        assert process.poll() is None
        assert "asking until it does" in training.output(), "the outage was noticed"
        cluster.start_controller()
        training.finish(process)

    assert [job.state for job in training.jobs("finetune")] == ["COMPLETED"]
    assert_same_training(training, trained)


def test_memory_is_raised_after_running_out_of_it(training: OnCluster, trained: Workspace) -> None:
    training.workspace.change("resources", {"base_mb": 400, "memory_growth": 3})

    training.run(ADAPTER)

    asked = [megabytes_of(job.id) for job in training.jobs("finetune")]
    assert len(asked) > 1
    assert asked[-1] >= 3 * asked[0]
    times = json.loads((training.folder / "results/settings/out_of_memory.json").read_text())
    assert times == {"finetune generator=coverage model=gemma task=animals volume=0": len(asked) - 1}
    assert_same_training(training, trained)


def megabytes_of(job: str) -> float:
    """The memory that a job asked for."""
    asked = re.search(r"MinMemoryNode=([\d.]+)([MG])", told("scontrol", "show", "job", job))
    assert asked
    return float(asked[1]) * {"M": 1, "G": 1024}[asked[2]]
