"""What a start does before the first job: one main process per results folder, and on a cluster the jobs that a killed
one has left.
"""

import atexit
import os
import time
from contextlib import ExitStack

from llamaduo.storage.canonical import digest
from llamaduo.cluster.queue import cancel, read_jobs
from llamaduo.cluster.submitted import MAIN_PROCESS, digest_of_times, is_made, read_ends, read_starts, times_of
from llamaduo.cluster.submitted import SUBMITTED as SUBMITTED_FILE
from llamaduo.cluster.submitted import read as read_submitted
from llamaduo.storage.lease import lease
from snakemake.io import IOFile

# What was sent to the cluster, for the next start.
SUBMITTED = Path(results(SUBMITTED_FILE))
# A controller that is down while the workflow starts is waited for.
PATIENCE_SECONDS = 600
# So long a job may be about to end: its node may be out of order.
COMPLETING_SECONDS = 300
# What becomes of running jobs that a killed main process has left: `wait` for their results, or `cancel`.
LEFT_JOBS = os.environ.get("LLAMADUO_LEFT_JOBS", "wait")
HELD = ExitStack()
PLANNED_AGAIN = os.environ.pop("LLAMADUO_PLANNED_AGAIN", None)


def plan_and_settle(plan=workflow._build_dag):
    """Hold the results folder, plan, settle what an earlier start has left, and amend the executor.

    Here, since of what follows nothing happens where a plan finds nothing to do, and `onstart` comes after it.
    """
    plugin = workflow.executor_plugin
    starts = workflow.is_main_process and plugin is not None and not workflow.dryrun
    works = starts and not only_looks()
    try:
        if workflow.is_main_process:
            refuse_unknown_rules()
        if works:
            check_folder(config_key("results"), Path(CONFIG.results))
            check_folder(config_key("state"), Path(CONFIG.state))
            # Before the plan: what another main process is just finishing must not be planned again.
            HELD.enter_context(lease(Path(results(MAIN_PROCESS)), f"the workflow in {CONFIG.results}"))
            atexit.register(HELD.close)
            forget_hopeless(Path(state("checkpoints")))
        elif starts:
            # Without a lock of its own: Snakemake removes all locks at its end, those of another main process too.
            workflow.persistence.lock = workflow.persistence.noop
        plan()
        if works and plugin.name == "slurm":
            refuse_what_never_runs()
            if settle_left_jobs() and not PLANNED_AGAIN:
                plan_again()
            amend_executor()
    except (InputError, ServiceError) as error:
        sys.exit(f"error: {error}")


def refuse_what_never_runs():
    """Raise `InputError` when the cluster could never run what is planned: such jobs would wait for ever."""
    # Asked for here at the latest: while jobs run, nothing may wait for them.
    partitions()
    if lines := never_run(workflow.dag.needrun_jobs()):
        skipped = "if `sinfo` does not tell all of this cluster, set the site's check_requests to false"
        raise InputError("\n".join([f"{NOTHING_STARTED} ({skipped}):", *lines]))


def refuse_unknown_rules():
    """Raise `InputError` for a request that is made for a step that is not there: Snakemake would pass over it."""
    asked = {*workflow.resource_settings.overwrite_resources, *workflow.resource_settings.overwrite_threads}
    known = {one.name for one in workflow.rules}
    if unknown := asked - known:
        names = ", ".join(sorted(known))
        raise InputError(f"set-resources, set-threads or the site's requests: {min(unknown)!r} is no rule of {names}")


def plan_again():
    """Give this command again, in this process; once, since by then nothing new can be settled."""
    print("Jobs of an earlier start are settled; planning again.", flush=True)
    HELD.close()
    settled = os.environ | {"LLAMADUO_PLANNED_AGAIN": "yes"}
    os.execve(sys.executable, [sys.executable, "-m", "snakemake", *sys.argv[1:]], settled)


workflow._build_dag = plan_and_settle


# Jobs that a killed main process has left


def settle_left_jobs():
    """Wait for or cancel the jobs that still live, accept or reject their results. Returns whether the plan changes."""
    if LEFT_JOBS not in {"wait", "cancel"}:
        raise InputError(f"LLAMADUO_LEFT_JOBS: {LEFT_JOBS!r}: must be wait or cancel")
    sent = read_submitted(SUBMITTED)
    last = {job.output: job for job in sent.values() if job.output}
    planned = {output: job for job in workflow.dag.jobs if (output := first_output(job)) in last}
    as_now = {last[output].id for output, job in planned.items() if last[output].digest == digest_of_job(job)}
    waited_for = as_now if LEFT_JOBS == "wait" else set()
    lived = end_left_jobs(sent, waited_for)
    where_possible(note_ends, sent.keys() - read_ends(SUBMITTED).keys())
    judged = [output for output, job in planned.items() if take_or_reject(job, last[output])]
    # What is not planned now may be later in this run, behind a decision. Without provenance Snakemake would take it.
    for output in last.keys() - planned.keys():
        if not is_seen([output], last[output]) and is_made([Path(output)], last[output].before):
            workflow.dag.forcefiles.add(output)
    return bool(lived or judged)


def first_output(job):
    return str(job.output[0]) if job.output else None


def end_left_jobs(sent, waited_for):
    """Wait until no job of an earlier start lives. Returns those that did.

    Cancelled are those that have not begun, are not `waited_for` (they would make what this plan makes anew, or may),
    or are not among those that are known to have been `sent`. One that cannot end is not waited for any longer: the
    leases keep others off what it works on.
    """
    found, told, deadline = [], None, time.monotonic() + COMPLETING_SECONDS
    starts = read_starts(SUBMITTED, Path.cwd())
    while left := [job for job in read_jobs(patience=PATIENCE_SECONDS) if job.lives and job.name in starts]:
        found = found or left
        if any(job.state != "COMPLETING" for job in left):
            deadline = time.monotonic() + COMPLETING_SECONDS
        elif time.monotonic() > deadline:
            print(f"SLURM does not get done with job {', '.join(job.id for job in left)}: going on", flush=True)
            break
        ended = [job for job in left if job.waits or job.id not in waited_for]
        cancel(ended, patience=PATIENCE_SECONDS)
        if told != {job.id for job in left}:
            told = {job.id for job in left}
            for job in left:
                step = sent[job.id].rule if job.id in sent else job.comment
                act = "cancelled" if job in ended else f"waiting for it, at most {job.left}"
                print(f"left by an earlier start: job {job.id}: {step}: {job.state}: {act}")
            print("scancel ends a job sooner, as LLAMADUO_LEFT_JOBS=cancel does: what it has done is kept", flush=True)
        time.sleep(min(10, workflow.executor_settings.init_seconds_before_status_checks))
    return found


def is_seen(outputs, sent):
    """Whether outputs were recorded after a job was sent: by the clocks, which may differ, or by the files' times."""
    changed = times_of(map(Path, outputs))
    records = {str(file): workflow.persistence.metadata(IOFile(str(file))) for file in outputs}
    return all(
        record is not None and ((record.endtime or 0) >= sent.time or record.endtime == changed.get(file))
        for file, record in records.items()
    )


def take_or_reject(job, sent):
    """Judge a result that was finished while no main process lived; whether it was one.

    It is taken, with its provenance, when all is as it was when the job was sent. Otherwise it is marked as
    interrupted, so that it is made again: without provenance Snakemake would see no difference.
    """
    outputs, inputs = ([Path(file) for file in files] for files in (job.output, job.input))
    if is_seen(job.output, sent) or not is_made(outputs, sent.before):
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


def digest_of_job(job):
    """What Snakemake compares to find out whether a result is out of date."""
    kept = workflow.persistence
    return digest(
        {"params": kept._params(job), "code": kept._code(job.rule), "input": [str(file) for file in job.input]}
    )
