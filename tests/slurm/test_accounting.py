"""A cluster with accounting (slurmdbd), where sacct is there: the profile's settings still hold."""

import subprocess

import pytest
from cluster import told
from on_cluster import ADAPTER, OnCluster
from workspace import Workspace

from llamaduo.canonical import digest_folder

ACCOUNTING = True


@pytest.mark.parametrize("status_command", ["squeue", "sacct"])
def test_a_cancelled_job_does_not_hang_the_run(training: OnCluster, trained: Workspace, status_command: str) -> None:
    """squeue is what the profile sets; sacct tells a cancelled job's state with the name of who cancelled it."""
    training.site(account="research")
    with training.started("--slurm-status-command", status_command, ADAPTER) as process:
        training.wait_until(training.is_training, process)
        (job,) = training.jobs("finetune", states="running")
        subprocess.run(["scancel", job.id], check=True)
        training.finish(process)

    assert [job.state for job in training.jobs("finetune")] == ["CANCELLED", "COMPLETED"]
    assert digest_folder(training.folder / ADAPTER) == digest_folder(trained.folder / ADAPTER)
    fields = told(
        "sacct", "--allocations", "--noheader", "--parsable2", f"--jobs={job.id}", "--format=AllocTRES,Account"
    )
    assert "gres/gpu:a100=1" in fields
    assert "research" in fields
