"""A cluster with accounting (slurmdbd), where sacct is there: the profile's settings still hold."""

import subprocess
from collections.abc import Iterator

import pytest
from cluster import Cluster, told
from on_cluster import ADAPTER, OTHER_ADAPTER, OnCluster
from workspace import Workspace

from llamaduo.storage.canonical import digest_folder

ACCOUNTING = True


@pytest.mark.parametrize("status_command", ["squeue", "sacct"])
def test_a_cancelled_job_does_not_hang_the_run(training: OnCluster, trained: Workspace, status_command: str) -> None:
    """squeue is what the profile sets; sacct tells a cancelled job's state with the name of who cancelled it.

    The job is one task of an array of two; the other does not notice.
    """
    training.site(account="research")
    with training.started("--llamaduo-status-command", status_command, ADAPTER, OTHER_ADAPTER) as process:
        training.wait_until(lambda: training.trainings_under_way() == 2, process)
        job = training.noted(ADAPTER)
        subprocess.run(["scancel", job.id], check=True)
        training.finish(process)

    first, other, again = job.id, training.noted(OTHER_ADAPTER).id, training.noted(ADAPTER).id
    assert "_" in first
    assert {job.id: job.state for job in training.jobs("finetune")} == {
        first: "CANCELLED",
        other: "COMPLETED",
        again: "COMPLETED",
    }
    assert digest_folder(training.folder / ADAPTER) == digest_folder(trained.folder / ADAPTER)
    fields = told(
        "sacct", "--allocations", "--noheader", "--parsable2", f"--jobs={job.id}", "--format=AllocTRES,Account"
    )
    assert "gres/gpu:a100=1" in fields
    assert "research" in fields


@pytest.fixture
def one_job_at_once(cluster: Cluster) -> Iterator[None]:
    """No more than one job of the user may be in the queue, pending or running."""
    user = told("id", "--user", "--name").strip()
    limit = ["sacctmgr", "--quiet", "--immediate", "modify", "user", user, "set"]
    subprocess.run([*limit, "MaxSubmitJobs=1"], check=True)
    yield
    subprocess.run([*limit, "MaxSubmitJobs=-1"], check=True)


def test_jobs_beyond_the_limit_of_the_account_are_submitted_later(training: OnCluster, one_job_at_once: None) -> None:
    """Not even the array of two is taken, and no attempt is lost for it."""
    training.workspace.change("training.max_steps", 2)
    training.site(account="research")

    output = training.run(ADAPTER, OTHER_ADAPTER)

    assert "SLURM does not take a job just now, trying again" in output
    assert [job.state for job in training.jobs("finetune")] == ["COMPLETED"] * 2
    assert not any("_" in job.id for job in training.jobs("finetune"))
    for adapter in (ADAPTER, OTHER_ADAPTER):
        assert (training.folder / adapter).is_dir()
