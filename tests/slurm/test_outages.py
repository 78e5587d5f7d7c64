"""The controller is away, the user interrupts, the disk is full."""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster import Cluster
from on_cluster import ADAPTER, OnCluster
from processes import wait_until
from workspace import Workspace

from llamaduo.cluster.submitted import SUBMITTED
from llamaduo.storage.canonical import digest_folder

DISK_MEGABYTES = 8
LIVE = "pending,configuring,running,completing,suspended"


def test_jobs_are_submitted_after_an_outage_and_ended_after_another(
    training: OnCluster, trained: Workspace, cluster: Cluster
) -> None:
    """A job becomes ready while the controller is down; then it is down again while Ctrl-C is to end that job.

    The file in which submissions are noted cannot be written meanwhile, as on a full disk: no reason to send it twice.
    """
    notes = training.folder / "results" / SUBMITTED
    with training.started(ADAPTER) as process:
        training.wait_until(lambda: training.programs("build_dataset.py"), process)
        local_step = training.program("build_dataset.py")
        local_step.suspend()
        cluster.stop_controller()
        notes.rename(notes.with_name("kept"))
        notes.symlink_to("/dev/full")
        local_step.resume()
        training.wait_until(lambda: "SLURM does not take a job just now" in training.output(), process)
        cluster.start_controller()
        training.wait_until(training.is_training, process)
        assert len(training.jobs("finetune")) == 1
        assert "not noted for later starts" in training.output()

        training.program("finetune.py").suspend()
        cluster.stop_controller()
        training.wait_until(lambda: "asking until it does" in training.output(), process)
        process.send_signal(signal.SIGINT)
        cluster.start_controller()
        training.finish(process, status=1)
    # The main process has ended them; SLURM gives each some seconds to do so.
    wait_until(lambda: not training.jobs(states=LIVE), "the jobs' end", None)

    notes.unlink()
    notes.with_name("kept").rename(notes)
    training.run(ADAPTER)

    assert [job.state for job in training.jobs("finetune")] == ["CANCELLED", "COMPLETED"]
    assert "continuing from" in training.training_log()
    assert digest_folder(training.folder / ADAPTER) == digest_folder(trained.folder / ADAPTER)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk at `folder`, and a file on it that fills it while it is there."""
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(folder)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    try:
        yield folder / "ballast"
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"-" * 4096)
        except OSError:
            pass
    assert not shutil.disk_usage(ballast).free


def test_a_full_disk_fails_what_writes_to_it_and_the_same_command_continues(
    training_anew: OnCluster, trained: Workspace
) -> None:
    # Fewer attempts show the same.
    training_anew.workspace.change("training.failures", 0)
    with small_disk(training_anew.folder / "results") as ballast:
        with training_anew.started(ADAPTER) as process:
            training_anew.wait_until(training_anew.is_training, process)
            fill(ballast)
            training_anew.finish(process, status=1)
        assert "No space left" in training_anew.output()
        assert not (training_anew.folder / ADAPTER).exists()
        assert "nothing was started" in training_anew.run(ADAPTER, status=1)

        ballast.unlink()
        training_anew.run(ADAPTER)

        *failed, last = [job.state for job in training_anew.jobs("finetune")]
        assert (set(failed), last) == ({"FAILED"}, "COMPLETED")
        assert digest_folder(training_anew.folder / ADAPTER) == digest_folder(trained.folder / ADAPTER)
