"""What a user types beside a running workflow: its status, and the end of jobs that a killed main process has left."""

from on_cluster import ADAPTER, OnCluster
from processes import wait_until
from workspace import Workspace

from llamaduo.storage.canonical import digest_folder


def test_the_status_shows_jobs_and_cancel_ends_them(training_anew: OnCluster, trained: Workspace) -> None:
    with training_anew.started(ADAPTER) as process:
        training_anew.wait_until(training_anew.is_training, process)
        # So that it still runs when the programs are through.
        training_anew.program("finetune.py").suspend()
        (job,) = training_anew.jobs("finetune", states="running")
        status = training_anew.typed("status.py")
        process.kill()
        process.wait()

    left = training_anew.typed("status.py")
    cancelled = training_anew.typed("cancel.py")
    wait_until(lambda: not training_anew.jobs("finetune", states="running,completing"), "the job's end", None)
    again = training_anew.typed("cancel.py")

    for shown in (status, left):
        assert f"running: finetune, job {job.id} on {job.node}" in shown
    assert "read_coverage" in status, "what its job used of what it asked for"
    assert cancelled.endswith(f"cancelled: job {job.id}: finetune: {ADAPTER}\n")
    assert again.endswith("no job of this workflow lives\n")
    training_anew.run(ADAPTER)
    assert [one.state for one in training_anew.jobs("finetune")] == ["CANCELLED", "COMPLETED"]
    assert digest_folder(training_anew.folder / ADAPTER) == digest_folder(trained.folder / ADAPTER)
    assert "running" not in training_anew.typed("status.py")
