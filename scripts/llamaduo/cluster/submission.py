"""Submitting jobs with sbatch, which is asked again while SLURM cannot take a job just now.

The executor plugin takes every failure of sbatch for a failure of the job. An outage of minutes would use up all of a
job's attempts.
"""

import re
import shlex
import subprocess
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from llamaduo.cli.errors import ServiceError
from llamaduo.cluster.queue import MAY_PASS, read_jobs

WORKERS = 2
"""Threads that submit to one partition, as many as the plugin has for all."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 30.0
COMMAND = re.compile(r" (--wrap=.*|/dev/stdin)$", re.DOTALL)
"""How a call of sbatch says what the job is to run."""
FULL = re.compile(r"(max|grp)submitjob", re.IGNORECASE)
"""What SLURM says when no more jobs of this user may be in the queue."""


class ArrayRefused(BaseException):
    """An array has more tasks than jobs may be in the queue just now; its jobs can be submitted one by one.

    The plugin would take any other exception for a failure of the jobs.
    """


class Lanes:
    """Stands in for a pool of threads: what waits in one lane keeps nothing in another from going on.

    `lane_of` names the lane of an argument; each lane has `WORKERS` threads.
    """

    def __init__(self, lane_of: Callable[[Any], str]) -> None:
        self._lane_of, self._ended = lane_of, False
        self._pools: dict[str, ThreadPoolExecutor] = {}

    def submit(self, function: Callable[[Any], Any], argument: Any) -> "Future[Any]":
        """As of a pool; raises `RuntimeError` after its end."""
        if self._ended:
            raise RuntimeError("jobs are no longer submitted")
        lane = self._lane_of(argument)
        if lane not in self._pools:
            self._pools[lane] = ThreadPoolExecutor(WORKERS, thread_name_prefix="slurm_job_submit")
        return self._pools[lane].submit(function, argument)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As of a pool, of all lanes."""
        self._ended = True
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=cancel_futures)
        for pool in self._pools.values():
            pool.shutdown(wait=wait, cancel_futures=cancel_futures)


class Submissions:
    """Stands in for the module `subprocess` where jobs are submitted: everything but sbatch is done by that.

    `stopped` ends the waiting; `tell` gets a line about each wait; `known` are the ids of the jobs that are known to
    have been submitted, of arrays without their tasks.
    """

    def __init__(self, stopped: threading.Event, tell: Callable[[str], None], known: Collection[str]) -> None:
        self._stopped, self._tell, self._known = stopped, tell, known
        self._of_thread = threading.local()

    def take_array(self, commands: Sequence[str]) -> None:
        """What the tasks of the array run that this thread submits next.

        As the plugin has it, every task starts the first one's Snakemake around its own: when that task fails, all do.
        """
        cases = [f"{number}) {command} ;;" for number, command in enumerate(commands, start=1)]
        self._of_thread.script = "\n".join(["#!/bin/sh", 'case "$SLURM_ARRAY_TASK_ID" in', *cases, "esac", ""])

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, call: str, **options: Any) -> Any:  # noqa: N802 - the name there
        """A command in a shell, as `subprocess` starts it."""
        if not call.startswith("sbatch "):
            return subprocess.Popen(call, **options)  # noqa: S603 - the plugin's command
        script = None
        if " --array=" in call:
            call, script = f"{COMMAND.sub('', call)} /dev/stdin", self._of_thread.script
        return Submission(call, options, script, self._stopped, self._tell, self._known)


class Submission:
    """One call of sbatch, as often as needed. It has what the plugin uses of a process."""

    def __init__(
        self,
        call: str,
        options: dict[str, Any],
        script: str | None,
        stopped: threading.Event,
        tell: Callable[[str], None],
        known: Collection[str],
    ) -> None:
        self._call, self._options, self._script = call, options, script
        self._stopped, self._tell, self._known = stopped, tell, known
        self.returncode: int | None = None

    def communicate(self, input: str | None = None) -> tuple[str, str]:
        """What sbatch printed in the end: a job's id, or a complaint that will not pass.

        Raises `ArrayRefused`.
        """
        told, pause = "", FIRST_PAUSE_SECONDS
        while True:
            process = subprocess.Popen(self._call, **self._options)  # noqa: S603 - the plugin's command
            out, complaint = process.communicate(self._script or input)
            self.returncode = process.returncode
            if self.returncode == 0 or not MAY_PASS.search(complaint):
                return out, complaint
            if FULL.search(complaint) and " --array=" in self._call:
                raise ArrayRefused(complaint)
            if complaint != told:
                self._tell(f"SLURM does not take a job just now, trying again: {complaint.strip()}")
                told = complaint
            accepted = None
            while accepted is None:
                if self._stopped.wait(pause):
                    return out, complaint
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                accepted = self._accepted()
            if accepted:
                self.returncode = 0
                return f"{accepted}\n", ""

    def _accepted(self) -> str | None:
        """The id of the job, if SLURM took it and only its answer was lost; None while SLURM tells nothing."""
        words = shlex.split(self._call)
        name, comment = (words[words.index(option) + 1] for option in ("--job-name", "--comment"))
        try:
            jobs = read_jobs("all")
        except ServiceError:
            return None
        ids = [job.id.split("_")[0] for job in jobs if (job.name, job.comment) == (name, comment)]
        return next((job for job in ids if job not in self._known), "")
