"""The jobs that a killed main process has left: waited for or cancelled, their results accepted or rejected."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from snakemake.io import IOFile

from llamaduo.cluster.queue import ClusterJob, cancel, read_jobs
from llamaduo.cluster.submitted import Submitted, digest_of_times, is_made, read, read_ends, read_starts, times_of
from snakemake_executor_plugin_llamaduo.job_facts import Job, digest_of_job, first_output
from snakemake_executor_plugin_llamaduo.limits import PATIENCE_SECONDS
from snakemake_executor_plugin_llamaduo.workplace import Workplace, where_possible

COMPLETING_SECONDS = 300
"""How long a job may be about to end: its node may be out of order."""
POLL_SECONDS = 10


def settle_left_jobs(workflow: Any, workplace: Workplace, left_jobs: str) -> bool:
    """Wait for or cancel the jobs that still live, accept or reject their results. Returns whether the plan changes."""
    sent = read(workplace.submitted)
    last = {job.output: job for job in sent.values() if job.output}
    planned = {output: job for job in workflow.dag.jobs if (output := first_output(job)) in last}
    as_now = {last[output].id for output, job in planned.items() if last[output].digest == digest_of_job(job)}
    waited_for = as_now if left_jobs == "wait" else set()
    pause = min(POLL_SECONDS, workflow.executor_settings.first_poll_seconds)
    lived = _end_left_jobs(workplace.submitted, sent, waited_for, pause)
    where_possible(workplace.note_ends, sent.keys() - read_ends(workplace.submitted).keys())
    judged = [output for output, job in planned.items() if _take_or_reject(workflow, job, last[output])]
    # What is not planned now may be later in this run, behind a decision. Without provenance Snakemake would take it.
    for output in last.keys() - planned.keys():
        if not _is_seen(workflow, [output], last[output]) and is_made([Path(output)], last[output].before):
            workflow.dag.forcefiles.add(output)
    return bool(lived or judged)


def _end_left_jobs(notes: Path, sent: Mapping[str, Submitted], waited_for: set[str], pause: float) -> bool:
    """Wait until no job of an earlier start lives. Returns whether one lived that has ended.

    Cancelled are those that have not begun, are not `waited_for` (they would make what this plan makes anew, or may),
    or are not among those that are known to have been `sent`. One that cannot end is not waited for any longer: the
    leases keep others off what it works on.
    """
    found: list[ClusterJob] = []
    reported: set[str] = set()
    deadline = time.monotonic() + COMPLETING_SECONDS
    starts = read_starts(notes, Path.cwd())
    while left := [job for job in read_jobs(patience=PATIENCE_SECONDS) if job.lives and job.name in starts]:
        found = found or left
        if any(job.state != "COMPLETING" for job in left):
            deadline = time.monotonic() + COMPLETING_SECONDS
        elif time.monotonic() > deadline:
            print(f"SLURM does not get done with job {', '.join(job.id for job in left)}: going on", flush=True)
            break
        ended = [job for job in left if job.waits or job.id not in waited_for]
        cancel(ended, patience=PATIENCE_SECONDS)
        if reported != {job.id for job in left}:
            reported = {job.id for job in left}
            for job in left:
                step = sent[job.id].rule if job.id in sent else job.comment
                act = "cancelled" if job in ended else f"waiting for it, at most {job.left}"
                print(f"left by an earlier start: job {job.id}: {step}: {job.state}: {act}")
            print("scancel ends a job sooner, as LLAMADUO_LEFT_JOBS=cancel does: what it has done is kept", flush=True)
        time.sleep(pause)
    return bool({job.id for job in found} - {job.id for job in left})


def _is_seen(workflow: Any, outputs: Sequence[str], sent: Submitted) -> bool:
    """Whether outputs were recorded after a job was sent: by the clocks, which may differ, or by the files' times."""
    changed = times_of(map(Path, outputs))
    records = {str(file): workflow.persistence.metadata(IOFile(str(file))) for file in outputs}
    return all(
        record is not None and ((record.endtime or 0) >= sent.time or record.endtime == changed.get(file))
        for file, record in records.items()
    )


def _take_or_reject(workflow: Any, job: Job, sent: Submitted) -> bool:
    """Judge a result that was finished while no main process lived; whether it was one.

    It is taken, with its provenance, when all is as it was when the job was sent. Otherwise it is marked as
    interrupted, so that it is made again: without provenance Snakemake would see no difference.
    """
    outputs, inputs = ([Path(file) for file in files] for files in (job.output, job.input))
    if _is_seen(workflow, job.output, sent) or not is_made(outputs, sent.before):
        return False
    if any(map(workflow.dag.needrun, workflow.dag.dependencies[job])):
        return False
    taken = sent.digest == digest_of_job(job) and sent.inputs == digest_of_times(inputs)
    if not taken and workflow.async_run(workflow.persistence.incomplete(job)):
        return False
    if taken:
        workflow.async_run(workflow.persistence.finished(job))
    else:
        workflow.persistence.started(job)
    act = "accepted" if taken else "rejected, since settings, code or inputs have changed"
    print(f"{act}, from an earlier start: {job.rule.name}: {' '.join(map(str, job.output))}", flush=True)
    return True
