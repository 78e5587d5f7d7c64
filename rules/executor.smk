"""Amendments to Snakemake's executor plugin for SLURM (snakemake-executor-plugin-slurm 2.8).

As it comes, it takes a moment without controller for a failure of the jobs that it submits, and forgets all others; it
waits for ever for a job that was cancelled (asking sacct) or preempted; it gives every task of an array the request of
the first, has all fail with the first, and never submits the rest of a rule's ready jobs of which not all may run at
once; it submits to no partition while another takes no more; it knows no type of GPU with a hyphen; and on an
interruption it does not end the jobs that it is just submitting or asking for.
"""

import asyncio
import threading
import time

from llamaduo.cluster.partitions import PLAIN_NAME
from llamaduo.cluster.queue import cancel_all_named, read_jobs, read_states
from llamaduo.cluster.states import JobStates, ran_out_of_memory
from llamaduo.cluster.submission import ArrayRefused, Lanes, Submissions
from llamaduo.cluster.submitted import Submitted, note, note_end, note_start
from snakemake.logging import logger
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

# The polling slows down to so many times the first wait.
SLOWEST_POLL = 4
# Seconds between two questions to a controller that is silent, and between two lines that say so.
PAUSE_SECONDS, REMINDER_SECONDS = 5, 300
# So long Ctrl-C waits for a controller that is down, to end the jobs.
SECONDS_TO_CANCEL = 120


def amend_executor():
    import snakemake_executor_plugin_slurm as plugin

    stopped, known, sent, states = threading.Event(), set(), {}, JobStates()
    submissions = Submissions(stopped, logger.warning, known)

    class Executor(plugin.Executor):
        def __post_init__(self, *arguments, **options):
            super().__post_init__(*arguments, **options)
            self._job_submission_executor = Lanes(lane_of)
            plugin.query_job_status = self.query_until_answered
            try:
                note_start(SUBMITTED, self.run_uuid, Path.cwd())
            except OSError as error:
                sys.exit(f"error: {SUBMITTED}: {error.strerror}, {NOTHING_STARTED}")

        # Submitting

        def run_jobs(self, jobs):
            """A job that could never run fails, once: SLURM would have it wait for ever."""
            submitted = []
            for job in jobs:
                if reason := obstacle_of(job):
                    REFUSED[job] = reason
                    where_possible(note_failed, [job])
                    logger.error(f"{job.rule.name} for {first_output(job)} is not submitted: {reason}")
                    workflow.scheduler.error_callback(job)
                else:
                    submitted.append(job)
            super().run_jobs(submitted)

        def _submit_array_jobs(self, jobs):
            groups = {}
            for job in jobs:
                groups.setdefault(request_of(job), []).append(job)
            for like in groups.values():
                for first in range(0, len(like), self.max_array_size):
                    part = like[first : first + self.max_array_size]
                    super()._submit_array_jobs(part) if len(part) > 1 else self._submit_job(part[0])

        def run_array_jobs(self, jobs):
            try:
                # Writes files; nobody looks at what this thread raises.
                submissions.take_array([self.format_job_exec(job) for job in jobs])
            except Exception as error:
                for job in jobs:
                    self._report_job_error_threadsafe(SubmittedJobInfo(job), f"not submitted: {error}")
                return
            try:
                super().run_array_jobs(jobs)
            except ArrayRefused:
                for job in jobs:
                    self.run_job(job)

        def report_job_submission(self, job_info, *arguments, **options):
            if "_" in job_info.external_jobid:
                # SLURM writes the logs of an array's tasks here, not where the plugin looks for them.
                job_info.aux["slurm_logfile"] = (
                    self.slurm_logdir / f"rule_{job_info.job.name}" / f"{job_info.external_jobid}.log"
                )
            known.add(job_info.external_jobid.split("_")[0])
            super().report_job_submission(job_info, *arguments, **options)
            for job in job_info.job if job_info.job.is_group() else [job_info.job]:
                sent[job_info.external_jobid] = submitted_job(job, job_info.external_jobid, self.run_uuid)
                where_possible(note, SUBMITTED, sent[job_info.external_jobid])

        # Asking

        async def query_until_answered(self, command, logger):
            reminder = 0
            while self.wait:
                start = time.monotonic()
                try:
                    told = await asyncio.to_thread(read_states, command.replace("JobIdRaw", "JobID"))
                except ServiceError as error:
                    if start >= reminder:
                        logger.warning(f"{error}; asking until it does.")
                        reminder = start + REMINDER_SECONDS
                    await asyncio.sleep(PAUSE_SECONDS)
                else:
                    return states.settle(told, self.polled), time.monotonic() - start
            return None, None

        async def check_active_jobs(self, active_jobs):
            self.polled = {job.external_jobid for job in active_jobs}
            async for job in super().check_active_jobs(active_jobs):
                yield job
            slowest = SLOWEST_POLL * self.workflow.executor_settings.init_seconds_before_status_checks
            self.next_seconds_between_status_checks = min(self.next_seconds_between_status_checks, slowest)

        async def sleep(self):
            end = time.monotonic() + self.next_seconds_between_status_checks
            while self.wait and (left := end - time.monotonic()) > 0:
                await asyncio.sleep(min(1, left))

        # Ending

        def report_job_success(self, job_info):
            """Snakemake would take an output of before for the one that a job has made of which nothing is known."""
            job = sent.get(job_info.external_jobid)
            if job and job.id in states.gone and not is_made([Path(file) for file in job_info.job.output], job.before):
                self.report_job_error(job_info, msg=f"SLURM has forgotten job {job.id}, which has made nothing")
            else:
                super().report_job_success(job_info)

        def report_job_error(self, job_info, msg=None, **options):
            if not stopped.is_set():
                if job_info.external_jobid:
                    where_possible(note_ends, {job_info.external_jobid})
                if ran_out_of_memory(msg or "", job_info.aux and job_info.aux.get("slurm_logfile")):
                    where_possible(note_out_of_memory, job_info.job)
                if job_info.job.attempt > job_info.job.restart_times:
                    where_possible(note_failed, [job_info.job])
            super().report_job_error(job_info, msg=msg, **options)

        def cancel(self):
            """End all jobs of this start: those that are just being submitted and asked for as well."""
            stopped.set()
            self._job_submission_executor.shutdown(wait=True, cancel_futures=True)
            where_possible(note_so_far, self.run_uuid)
            try:
                cancel_all_named(self.run_uuid, patience=SECONDS_TO_CANCEL)
            except ServiceError as error:
                self.logger.error(
                    f"{error}: the jobs live on; the next start settles them, and this ends them: "
                    f"make cancel CONFIG={CONFIG_NAME}"
                )
            self.shutdown()

        def shutdown(self):
            stopped.set()
            super().shutdown()

    logger.addFilter(is_of_use)
    plugin.subprocess = submissions
    plugin.set_gres_string = with_any_type(plugin.set_gres_string)
    plugin.validate_account = account_unless_refused(plugin.validate_account)
    plugin.get_default_partition = asked_until_answered(plugin.get_default_partition, stopped)
    plugin.pending_jobs_for_rule = no_job_waits
    if workflow.executor_settings.status_command == "squeue":
        plugin.query_job_status_sacct = plugin.query_job_status_squeue
    workflow.executor_plugin.executor = Executor


def where_possible(keep, *arguments):
    """Note something for later. A disk that is full must not make a job of that lives a failed one."""
    try:
        keep(*arguments)
    except (OSError, ServiceError) as error:
        logger.warning(f"not noted for later starts and the status: {error}")


def note_ends(ids):
    """Note how long jobs have run that have ended without a result, for the GPU hours, while SLURM knows it."""
    for job in read_jobs("all"):
        if job.id in ids and not job.lives and job.state != "COMPLETED" and job.seconds:
            note_end(SUBMITTED, job.id, job.seconds)


def note_so_far(run):
    """Note how long the jobs of a start have run that are about to be cancelled."""
    for job in read_jobs():
        if job.name == run and job.seconds:
            note_end(SUBMITTED, job.id, job.seconds)


def account_unless_refused(validate):
    """The check of the account, which may be out of order: SLURM itself refuses a wrong one."""

    @functools.cache
    def account_of(account, logger):
        try:
            return validate(account, logger)
        except (OSError, WorkflowError) as error:
            if "appears to be invalid" in str(error):
                raise
            logger.warning(f"the account {account} is not checked: {error}")
            return account

    return account_of


def asked_until_answered(ask, stopped):
    """A question to SLURM that the plugin asks once, and takes the lack of an answer for a failure of the job."""

    def answer(*arguments):
        while True:
            try:
                return ask(*arguments)
            except WorkflowError as error:
                logger.warning(f"{error}; asking until it does.")
                if stopped.wait(PAUSE_SECONDS):
                    raise

    return answer


def is_of_use(record):
    """Not the plugin's warning, at every array, of what stands in the tasks' comments: the notes tell what they do."""
    return "combinations in the comment string" not in record.getMessage()


def with_any_type(asked_for):
    """The option that asks for GPUs. The plugin takes no type with a hyphen, such as nvidia_a100-sxm4-80gb."""

    def option(job):
        model, count = job.resources.get("gpu_model"), job.resources.get("gpu", 1)
        if model and "-" in model and PLAIN_NAME.fullmatch(model) and "gres" not in job.resources.keys():
            return f" --gpus={model}:{count}"
        return asked_for(job)

    return option


def lane_of(jobs):
    """Where jobs are submitted apart from others: the partition, as far as it is known, and whether they take GPUs."""
    first = jobs[0] if isinstance(jobs, list) else jobs
    return f"{first.resources.get('slurm_partition', '')} {bool(first.resources.get('gpu'))}"


def no_job_waits(dag, rule_name):
    """An array is never held back for jobs that may come."""
    return 0


def request_of(job):
    """What of a job's request must be the same in all tasks of an array."""
    own = {"tmpdir", *SLOTS_OF_ALL_SERVICES}
    return (job.threads, *sorted((name, str(value)) for name, value in job.resources.items() if name not in own))


def submitted_job(job, id, run):
    """A job's note for later starts and for the status."""
    asked = {name: job.resources.get(name, 0) for name in ("mem_mb", "runtime", "gpu")}
    memory, minutes, gpus = (value if isinstance(value, int) else 0 for value in asked.values())
    return Submitted(
        id,
        job.rule.name,
        output=first_output(job) or "",
        benchmark=str(job.benchmark or ""),
        digest=digest_of_job(job),
        time=time.time(),
        memory=memory,
        minutes=minutes,
        cores=job.threads,
        gpus=gpus,
        run=run,
        place=str(Path.cwd().resolve()),
        inputs=digest_of_times(map(Path, job.input)),
        before=times_of(map(Path, job.output)),
    )


def note_out_of_memory(job):
    """Remember that a step has run out of memory, for its next attempt's request."""
    times = read_json(OUT_OF_MEMORY) if OUT_OF_MEMORY.is_file() else {}
    key = step_key(job.rule.name, job.wildcards_dict)
    write_json(OUT_OF_MEMORY, times | {key: times.get(key, 0) + 1})
