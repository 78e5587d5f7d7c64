"""What a start on a cluster does before the first job: one main process per results folder, jobs that a killed one has
left, and amendments to Snakemake's executor plugin for SLURM (snakemake-executor-plugin-slurm 2.8).
"""

import asyncio
import atexit
import os
import time
from contextlib import ExitStack

from llamaduo.canonical import digest
from llamaduo.cluster.queue import cancel, read_jobs
from llamaduo.cluster.states import JobStates, ran_out_of_memory
from llamaduo.cluster.submitted import Submitted, are_unchanged, is_made, note
from llamaduo.cluster.submitted import read as read_submitted
from llamaduo.errors import ServiceError
from llamaduo.lease import lease

# What was sent to the cluster, for the next start.
SUBMITTED = Path(results("settings/submitted.jsonl"))
# A controller that is down while the workflow starts is waited for.
PATIENCE_SECONDS = 600
# What becomes of running jobs that a killed main process has left: `wait` for their results, or `cancel`.
LEFT_JOBS = os.environ.get("LLAMADUO_LEFT_JOBS", "wait")
# The polling slows down to so many times the first wait.
SLOWEST_POLL = 4
HELD = ExitStack()
PLANNED_AGAIN = os.environ.pop("LLAMADUO_PLANNED_AGAIN", None)


def on_cluster():
    plugin = workflow.executor_plugin
    return workflow.is_main_process and plugin is not None and plugin.name == "slurm"


def plan_and_settle(plan=workflow._build_dag):
    """Plan, then hold the results folder, settle what an earlier start has left, and amend the executor.

    Here, since of what follows nothing happens where a plan finds nothing to do, and `onstart` comes after it.
    """
    plan()
    if only_looks():
        # Without a lock of its own: Snakemake removes all locks at its end, those of another main process too.
        workflow.persistence.lock = workflow.persistence.noop
        return
    if not on_cluster():
        return
    try:
        if not workflow.execution_settings.lock:
            HELD.enter_context(lease(Path(results("settings/workflow")), f"the workflow in {CONFIG.results}"))
            atexit.register(HELD.close)
        if settle_left_jobs() and not PLANNED_AGAIN:
            plan_again()
    except (InputError, ServiceError) as error:
        sys.exit(f"error: {error}")
    amend_executor()


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
    sent = {job.output: job for job in read_submitted(SUBMITTED).values()}
    begun = {sent[output].id: job for job in workflow.dag.jobs if (output := first_output(job)) in sent}
    if not begun:
        return False
    lived = end_left_jobs(begun)
    judged = [job for job in begun.values() if take_or_reject(job, sent[first_output(job)])]
    return bool(lived or judged)


def first_output(job):
    return str(job.output[0]) if job.output else None


def end_left_jobs(begun):
    """Wait until none of the jobs that were begun lives. Returns those that did."""
    found, told = [], None
    while left := [job for job in read_jobs(patience=PATIENCE_SECONDS) if job.lives and is_left(job, begun)]:
        found = found or left
        idle = left if LEFT_JOBS == "cancel" else [job for job in left if job.waits]
        cancel(idle)
        if told != {job.id for job in left}:
            told = {job.id for job in left}
            for job in left:
                act = "cancelled" if job in idle else f"waiting for it, at most {job.left}"
                print(f"left by an earlier start: job {job.id}: {begun[job.id]}: {job.state}: {act}")
            print("scancel ends a job sooner, as LLAMADUO_LEFT_JOBS=cancel does: what it has done is kept", flush=True)
        time.sleep(min(10, workflow.executor_settings.init_seconds_before_status_checks))
    return found


def is_left(job, begun):
    return job.id in begun and job.folder.resolve() == Path.cwd().resolve()


def take_or_reject(job, sent):
    """Judge a result that was finished while no main process lived; whether it was one.

    It is taken, with its provenance, when all is as it was when the job was sent. Otherwise it is marked as
    interrupted, so that it is made again: without provenance Snakemake would see no difference.
    """
    outputs, inputs = ([Path(file) for file in files] for files in (job.output, job.input))
    records = [workflow.persistence.metadata(file) for file in job.output]
    seen = all(record is not None and (record.endtime or 0) >= sent.time for record in records)
    if seen or not is_made(outputs, sent.time) or any(map(workflow.dag.needrun, workflow.dag.dependencies[job])):
        return False
    taken = sent.digest == digest_of_job(job) and are_unchanged(inputs, sent.time)
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


# The executor plugin


def amend_executor():
    """Make the plugin ask squeue until it answers, know every end of a job, and put only like jobs into an array.

    As it comes, it forgets all jobs when the controller is silent for a moment, waits for ever for a job that was
    cancelled (asking sacct) or preempted, gives every task of an array the request of the first, and never submits the
    rest of a rule's ready jobs of which not all may run at once.
    """
    import snakemake_executor_plugin_slurm as plugin

    executor, states, holder = plugin.Executor, JobStates(), {}
    query, check = plugin.query_job_status, executor.check_active_jobs
    submitted, failed, submit_array = (
        executor.report_job_submission,
        executor.report_job_error,
        executor._submit_array_jobs,
    )

    async def query_until_answered(command, logger):
        while True:
            told, seconds = await query(command.replace("JobIdRaw", "JobID"), logger)
            if told is not None:
                return states.settle(told, holder["active"]), seconds
            if not holder["executor"].wait:
                return None, None
            logger.warning("SLURM's controller does not answer; asking again.")
            await asyncio.sleep(5)

    async def check_slower_and_slower(self, active_jobs):
        holder.update(executor=self, active={job.external_jobid for job in active_jobs})
        async for job in check(self, active_jobs):
            yield job
        slowest = SLOWEST_POLL * self.workflow.executor_settings.init_seconds_before_status_checks
        self.next_seconds_between_status_checks = min(self.next_seconds_between_status_checks, slowest)

    def note_submission(self, job_info, *arguments, **options):
        if "_" in job_info.external_jobid:
            # SLURM writes the logs of an array's tasks here, not where the plugin looks for them.
            job_info.aux["slurm_logfile"] = (
                self.slurm_logdir / f"rule_{job_info.job.name}" / f"{job_info.external_jobid}.log"
            )
        submitted(self, job_info, *arguments, **options)
        for job in job_info.job if job_info.job.is_group() else [job_info.job]:
            note(SUBMITTED, submitted_job(job, job_info.external_jobid))

    def note_failure(self, job_info, msg=None, **options):
        if ran_out_of_memory(msg or "", job_info.aux.get("slurm_logfile")):
            note_out_of_memory(job_info.job)
        if job_info.job.attempt > job_info.job.restart_times:
            note_failed([job_info.job])
        failed(self, job_info, msg=msg, **options)

    def submit_like_jobs(self, jobs):
        groups = {}
        for job in jobs:
            groups.setdefault(request_of(job), []).append(job)
        for like in groups.values():
            submit_array(self, like) if len(like) > 1 else self._submit_job(like[0])

    plugin.query_job_status = query_until_answered
    if workflow.executor_settings.status_command == "squeue":
        plugin.query_job_status_sacct = plugin.query_job_status_squeue
    plugin.pending_jobs_for_rule = no_job_waits
    executor.check_active_jobs = check_slower_and_slower
    executor.report_job_submission = note_submission
    executor.report_job_error = note_failure
    executor._submit_array_jobs = submit_like_jobs


def no_job_waits(dag, rule_name):
    """An array is never held back for jobs that may come."""
    return 0


def request_of(job):
    """What of a job's request must be the same in all tasks of an array."""
    own = {"tmpdir", *map(slot_of, CONFIG.services)}
    return (job.threads, *sorted((name, str(value)) for name, value in job.resources.items() if name not in own))


def submitted_job(job, id):
    """A job's note for later starts and for the status."""
    asked = {name: job.resources.get(name, 0) for name in ("mem_mb", "runtime", "gpu")}
    memory, minutes, gpus = (value if isinstance(value, int) else 0 for value in asked.values())
    return Submitted(
        id,
        job.rule.name,
        output=str(job.output[0]),
        benchmark=str(job.benchmark or ""),
        digest=digest_of_job(job),
        time=time.time(),
        memory=memory,
        minutes=minutes,
        cores=job.threads,
        gpus=gpus,
    )


def note_out_of_memory(job):
    """Remember that a step has run out of memory, for its next attempt's request."""
    times = read_json(OUT_OF_MEMORY) if OUT_OF_MEMORY.is_file() else {}
    key = step_key(job.rule.name, job.wildcards)
    write_json(OUT_OF_MEMORY, times | {key: times.get(key, 0) + 1})
