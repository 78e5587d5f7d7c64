"""The executor: submits jobs with sbatch, asks for their states, and ends them.

Over the SLURM plugin (snakemake-executor-plugin-slurm 2.8), which takes a moment without controller for a failure of
the jobs that it submits, and forgets all others; waits for ever for a job that was cancelled (asking sacct) or
preempted; gives every task of an array the request of the first, has all fail with the first, and never submits the
rest of a rule's ready jobs of which not all may run at once; submits to no partition while another takes no more; and
on an interruption does not end the jobs that it is just submitting.
"""

import asyncio
import atexit
import os
import shlex
import threading
import time
import uuid
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path
from typing import Any

import snakemake_executor_plugin_slurm as slurm
from snakemake_executor_plugin_slurm.accounts import validate_account
from snakemake_executor_plugin_slurm.job_status_query import query_job_status_sacct
from snakemake_executor_plugin_slurm.partitions import get_default_partition, read_partition_file
from snakemake_executor_plugin_slurm.utils import get_max_array_size
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.utils import format_cli_arg

from llamaduo.cli.errors import ServiceError
from llamaduo.cli.logs import ends_of_logs
from llamaduo.cluster.queue import ENDED, cancel_all_named, read_jobs, read_states
from llamaduo.cluster.submitted import Submitted, is_made, note, note_start
from snakemake_executor_plugin_llamaduo.call import log_folder, sbatch_call
from snakemake_executor_plugin_llamaduo.job_facts import (
    Job,
    first_output,
    known_on_node,
    logs_of,
    request_of,
    submitted_job,
)
from snakemake_executor_plugin_llamaduo.states import GONE, JobStates, ran_out_of_memory
from snakemake_executor_plugin_llamaduo.submission import (
    ArrayRefusedError,
    Lanes,
    Submissions,
    script_of,
)
from snakemake_executor_plugin_llamaduo.waiting import why_it_never_starts
from snakemake_executor_plugin_llamaduo.workplace import Workplace, where_possible

SLOWEST_POLL = 4
"""The polling slows down to so many times the first wait, by `SLOWER_SECONDS` each time nothing has ended."""
SLOWER_SECONDS = 10
PAUSE_SECONDS, REMINDER_SECONDS = 5, 300
"""Between two questions to a controller that is silent, and between two lines that say so."""
SECONDS_TO_CANCEL = 120
"""How long Ctrl-C waits for a controller that is down, to end the jobs."""
REFUSED: dict[Job, str] = {}
"""Jobs that were not submitted, and why: the cluster could never run them. They have made nothing, and never would."""


class Executor(slurm.Executor):
    """Runs the jobs of one start of the workflow on a SLURM cluster."""

    def __init__(self, workflow: Any, logger: Any) -> None:
        # Where the main process is a job itself, the SLURM plugin forgets all variables of its own job, and this one.
        self._found_slurm = {name: os.environ[name] for name in ("SLURM_CONF",) if name in os.environ}
        super().__init__(workflow, logger)

    def __post_init__(self) -> None:
        os.environ.update(self._found_slurm)
        settings = self.workflow.executor_settings
        self.workplace: Workplace | None = getattr(settings, "workplace", None)
        prefix = [settings.jobname_prefix] if settings.jobname_prefix else []
        self.run_uuid = "_".join([*prefix, str(uuid.uuid4())])
        self.logger.info(f"SLURM run ID: {self.run_uuid}")
        self.slurm_logdir = Path(self.workflow.workdir_init, settings.logdir or ".snakemake/slurm_logs").resolve()
        file = settings.partition_config or os.environ.get("SNAKEMAKE_SLURM_PARTITIONS")
        self._partitions = read_partition_file(Path(file)) if file else None
        self._fallback_partition: str | None = None
        self._accounts: dict[str | None, str] = {}
        # Below 2 the cluster takes no arrays.
        self.max_array_size = max(1, min(get_max_array_size(), settings.array_limit))
        excluded = (settings.exclude_failed_nodes or "").split(",")
        self._excluded_nodes = sorted(node.strip() for node in excluded if node.strip())
        self._lanes = Lanes(_lane_of)
        self._stopped, self._known, self._states = threading.Event(), set[str](), JobStates()
        self._sent: dict[str, Submitted] = {}
        self._reported: set[tuple[str, ...]] = set()
        self._submissions = Submissions(self._stopped, self.logger.warning, self._known)
        self.next_seconds_between_status_checks = settings.first_poll_seconds
        atexit.register(self.clean_old_logs)
        if self.workplace:
            try:
                note_start(self.workplace.submitted, self.run_uuid, Path.cwd())
            except OSError as error:
                raise SystemExit(f"error: {self.workplace.submitted}: {error.strerror}, nothing was started") from None

    # Submitting

    def run_jobs(self, jobs: Sequence[Job]) -> None:
        """Submit jobs, those of a rule with equal requests together. A job that could never run fails, once."""
        alike: dict[tuple[object, ...], list[Job]] = {}
        for job in jobs:
            if self.workplace and (reason := self.workplace.limits.obstacle_of(job)):
                REFUSED[job] = reason
                where_possible(self.workplace.note_failed, [job])
                self._refuse(job, reason)
            else:
                alike.setdefault((job.name, job.is_group() and job.jobid, request_of(job)), []).append(job)
        for kind in alike.values():
            for first in range(0, len(kind), self.max_array_size):
                part = kind[first : first + self.max_array_size]
                for job in part:
                    self.run_job_pre(job)
                self._lanes.submit(self._submit, part)

    def _refuse(self, job: Job, reason: str) -> None:
        """Fail a job that is not submitted. It is no failed job to Snakemake, which would remove older outputs."""
        self.logger.error(f"{job.rule.name} for {first_output(job)} is not submitted: {reason}")
        scheduler = self.workflow.scheduler
        with scheduler._lock:
            scheduler._handle_error(job, postprocess_job=False)
        scheduler._open_jobs.release()

    def _submit(self, jobs: Sequence[Job]) -> None:
        """Submit jobs with equal requests: one, or several as an array. Nobody looks at what this thread raises."""
        try:
            commands = [self.format_job_exec(job) for job in jobs]
            call = self._call(jobs)
            id = self._submissions.submit(call, script_of(commands))
        except ArrayRefusedError:
            for job in jobs:
                self._submit([job])
        except Exception as error:
            for job in jobs:
                self.report_job_error(SubmittedJobInfo(job), f"SLURM sbatch failed: {error}")
        else:
            for number, job in enumerate(jobs, start=1):
                task = id if len(jobs) == 1 else f"{id}_{number}"
                aux = {"slurm_logfile": log_folder(self.slurm_logdir, jobs) / f"{task}.log"}
                self.report_job_submission(SubmittedJobInfo(job, task, aux))
            self.logger.info(f"Submitted as SLURM job {id}: {', '.join(f'job {job.jobid}' for job in jobs)}.")

    def _call(self, jobs: Sequence[Job]) -> str:
        log_folder(self.slurm_logdir, jobs).mkdir(parents=True, exist_ok=True)
        return sbatch_call(
            jobs,
            self.workflow.executor_settings,
            self._excluded_nodes,
            run=self.run_uuid,
            logs=self.slurm_logdir,
            account=next(self.get_account_arg(jobs[0])),
            partition=self.get_partition_arg(jobs[0]),
            workdir=self.workflow.workdir_init,
        )

    def format_job_exec(self, job: Job) -> str:
        """What runs on the node: Snakemake, told last of all what this job was given."""
        command = super().format_job_exec(job)
        if job.is_group():
            return command
        resources, threads = known_on_node(job)
        return f"{command} {format_cli_arg('--set-resources', resources)} {format_cli_arg('--set-threads', threads)}"

    def additional_general_args(self) -> str:
        """The job runs in the batch script itself. The SLURM plugin starts a Snakemake around it, for srun."""
        return "--executor local"

    def get_account_arg(self, job: Job) -> Any:
        """The option for the account; without one SLURM takes the user's default.

        The check of an account may be out of order: SLURM itself refuses a wrong one.
        """
        account = job.resources.get("slurm_account")
        if account not in self._accounts:
            try:
                name = account and (validate_account(str(account), self.logger) or account)
            except (OSError, WorkflowError) as error:
                if "appears to be invalid" in str(error):
                    raise
                self.logger.warning(f"the account {account} is not checked: {error}")
                name = account
            self._accounts[account] = f" --account={shlex.quote(str(name))}" if name else ""
        yield self._accounts[account]

    def get_partition_arg(self, job: Job) -> str:
        """The option for the partition. The cluster's default is asked for until there is an answer."""
        while not (job.resources.get("slurm_partition") or self._partitions or self._fallback_partition is not None):
            try:
                self._fallback_partition = get_default_partition(job, self.logger)
            except WorkflowError as error:
                self.logger.warning(f"{error}; asking until it does.")
                if self._stopped.wait(PAUSE_SECONDS):
                    raise
        return str(super().get_partition_arg(job))

    def report_job_submission(self, job_info: SubmittedJobInfo, *arguments: Any, **options: Any) -> None:
        self._known.add(job_info.external_jobid.split("_")[0])
        super().report_job_submission(job_info, *arguments, **options)
        for job in job_info.job if job_info.job.is_group() else [job_info.job]:
            sent = submitted_job(job, job_info.external_jobid, self.run_uuid)
            self._sent[sent.id] = sent
            if self.workplace:
                where_possible(note, self.workplace.submitted, sent)

    # Asking

    async def check_active_jobs(self, active_jobs: Sequence[SubmittedJobInfo]) -> AsyncIterator[SubmittedJobInfo]:
        first = self.workflow.executor_settings.first_poll_seconds
        if not active_jobs:
            self.next_seconds_between_status_checks = first
            return
        states = await self._ask_until_answered({job.external_jobid for job in active_jobs})
        has_ended = False
        for job in active_jobs:
            state = states.get(job.external_jobid) or states.get(job.external_jobid.split("_")[0], "")
            waits_for_slurm = state == "NODE_FAIL" and self.workflow.executor_settings.requeue
            if state in {"COMPLETED", GONE}:
                self.report_job_success(job)
            elif state in ENDED and not waits_for_slurm:
                message = f"SLURM-job '{job.external_jobid}' failed, SLURM status is: '{state}'. "
                self.report_job_error(job, msg=message, aux_logs=[str(job.aux["slurm_logfile"])])
            else:
                yield job
                continue
            has_ended = True
        slower = min(self.next_seconds_between_status_checks + SLOWER_SECONDS, SLOWEST_POLL * first)
        self.next_seconds_between_status_checks = first if has_ended else slower

    async def _ask_until_answered(self, ids: Collection[str]) -> dict[str, str]:
        """The states of the jobs; none at the end of the workflow."""
        reminder = 0.0
        while self.wait:
            start = time.monotonic()
            try:
                return self._states.settle(await asyncio.to_thread(self._ask), ids)
            except ServiceError as error:
                if start >= reminder:
                    self.logger.warning(f"{error}; asking until it does.")
                    reminder = start + REMINDER_SECONDS
                await asyncio.sleep(PAUSE_SECONDS)
        return {}

    def _ask(self) -> dict[str, str]:
        if self.workflow.executor_settings.status_command == "sacct":
            return read_states(query_job_status_sacct(self.run_uuid).replace("JobIdRaw", "JobID"))
        jobs = [job for job in read_jobs("all") if job.name == self.run_uuid]
        for job in jobs:
            # One line for all jobs of a rule that wait for the same.
            kind = (job.state, job.where, job.comment.partition("_wildcards_")[0])
            if kind not in self._reported and (why := why_it_never_starts(job)):
                self._reported.add(kind)
                self.logger.warning(why)
        return {job.id: job.state for job in jobs}

    async def sleep(self) -> None:
        end = time.monotonic() + self.next_seconds_between_status_checks
        while self.wait and (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(1, left))

    # Ending

    def report_job_success(self, job_info: SubmittedJobInfo) -> None:
        """Of a job that SLURM has forgotten Snakemake would take an output of before for its result."""
        sent = self._sent.get(job_info.external_jobid)
        if sent and sent.id in self._states.gone and not is_made(list(map(Path, job_info.job.output)), sent.before):
            self.report_job_error(job_info, msg=f"SLURM has forgotten job {sent.id}, which has made nothing")
            return
        super().report_job_success(job_info)
        if not self.workflow.executor_settings.keep_successful_logs:
            job_info.aux["slurm_logfile"].unlink(missing_ok=True)

    def report_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **options: Any) -> None:
        job, log = job_info.job, job_info.aux and job_info.aux.get("slurm_logfile")
        if not self._stopped.is_set() and self.workplace:
            if job_info.external_jobid:
                where_possible(self.workplace.note_ends, [job_info.external_jobid])
            if ran_out_of_memory(msg or "", log):
                where_possible(self.workplace.note_out_of_memory, job)
            if job.attempt > job.restart_times:
                where_possible(self.workplace.note_failed, [job])
        self.print_job_error(job_info, msg, **options)
        if not self._stopped.is_set():
            self.logger.error("\n".join(ends_of_logs([*logs_of(job), *([log] if log else [])])))
        self.workflow.scheduler.error_callback(job)

    def cancel(self) -> None:
        """End all jobs of this start: those that are just being submitted and asked for as well."""
        self._stopped.set()
        self._lanes.shutdown(wait=True, cancel_futures=True)
        if self.workplace:
            where_possible(self.workplace.note_so_far, self.run_uuid)
        try:
            cancel_all_named(self.run_uuid, patience=SECONDS_TO_CANCEL)
        except ServiceError as error:
            config = self.workplace.config_name if self.workplace else "my.yaml"
            self.logger.error(  # noqa: TRY400 - one line
                f"{error}: the jobs live on; the next start settles them, and this ends them: "
                f"make cancel CONFIG={config}"
            )
        self.shutdown()

    def shutdown(self) -> None:
        self._stopped.set()
        self._lanes.shutdown(wait=True)
        # Not the SLURM plugin's, which reports on what it has not done here.
        RemoteExecutor.shutdown(self)
        self.clean_old_logs()


def _lane_of(jobs: Sequence[Job]) -> str:
    """Where jobs are submitted apart from others: the partition, as far as known, and whether they take GPUs."""
    return f"{jobs[0].resources.get('slurm_partition', '')} {bool(jobs[0].resources.get('gpu'))}"
