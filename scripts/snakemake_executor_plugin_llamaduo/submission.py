"""Submitting jobs with sbatch, which is asked again while SLURM cannot take a job just now.

An outage of minutes would otherwise use up all of a job's attempts.
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
"""Threads that submit to one partition, as many as the SLURM plugin has for all."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 30.0
FULL = re.compile(r"(max|grp)submitjob", re.IGNORECASE)
"""What SLURM says when no more jobs of this user may be in the queue."""
PARSABLE = re.compile(r"(\d+)(;\S+)?")
"""What `sbatch --parsable` prints, with the cluster's name where there are several."""
IN_WORDS = re.compile(r"Submitted batch job (\d+)")
"""What a wrapper around sbatch may print instead."""


class ArrayRefusedError(Exception):
    """An array has more tasks than jobs may be in the queue just now; its jobs can be submitted one by one."""


class SubmissionError(Exception):
    """SLURM does not take a job, now or later; the message is sbatch's."""


class Lanes:
    """One pool of threads per partition: jobs that wait to be taken keep none in another partition from going on.

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


def script_of(commands: Sequence[str]) -> str:
    """The script of a job, or of an array in which every task runs its own command.

    Before SLURM kills a job it sends SIGTERM to all of its processes. If the script ended by it, so would the job, and
    the program would have no time to save what it has.
    """
    begin = ["#!/bin/sh", "trap : TERM USR1"]
    if len(commands) == 1:
        return "\n".join([*begin, commands[0], ""])
    cases = [f"{number}) {command} ;;" for number, command in enumerate(commands, start=1)]
    return "\n".join([*begin, 'case "$SLURM_ARRAY_TASK_ID" in', *cases, "esac", ""])


def id_in(output: str) -> str | None:
    """The job's id in what sbatch, or a site's wrapper around it, has printed; banners may have numbers too."""
    for line in reversed(output.splitlines()):
        if found := PARSABLE.fullmatch(line.strip()):
            return found.group(1)
    ids: list[str] = IN_WORDS.findall(output)
    return ids[-1] if ids else None


class Submissions:
    """The submissions of one start of the workflow.

    `stopped` ends all waiting; `report` gets a line about each wait; `known` are the ids of the jobs that are known to
    have been submitted, of arrays without their tasks.
    """

    def __init__(self, stopped: threading.Event, report: Callable[[str], None], known: Collection[str]) -> None:
        self._stopped, self._report, self._known = stopped, report, known

    def submit(self, call: str, script: str) -> str:
        """Call sbatch, as often as needed, with a script. Returns the job's id.

        Raises `SubmissionError` and `ArrayRefusedError`.
        """
        reported, pause = "", FIRST_PAUSE_SECONDS
        while True:
            done = subprocess.run(  # noqa: S602 - the SLURM plugin makes a line for the shell
                call, shell=True, input=script, capture_output=True, text=True, check=False
            )
            complaint = done.stderr.strip()
            accepted = id_in(done.stdout) if done.returncode == 0 else None
            if accepted:
                return accepted
            if done.returncode and not MAY_PASS.search(complaint):
                raise SubmissionError(complaint)
            if FULL.search(complaint) and " --array=" in call:
                raise ArrayRefusedError(complaint)
            if done.returncode == 0:
                complaint = f"no job's id in what sbatch has printed: {done.stdout.strip()!r}"
            if complaint != reported:
                self._report(f"SLURM does not take a job just now, trying again: {complaint}")
                reported = complaint
            answered = None
            while answered is None:
                if self._stopped.wait(pause):
                    raise SubmissionError(complaint)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                answered = self._taken(call)
            if answered:
                return answered
            if done.returncode == 0:
                raise SubmissionError(complaint)

    def _taken(self, call: str) -> str | None:
        """The id of the job, if SLURM took it and only its answer was lost, else empty; None while SLURM is silent."""
        words = shlex.split(call)
        name, comment = (words[words.index(option) + 1] for option in ("--job-name", "--comment"))
        try:
            jobs = read_jobs("all")
        except ServiceError:
            return None
        ids = [job.id.split("_")[0] for job in jobs if (job.name, job.comment) == (name, comment)]
        return next((job for job in ids if job not in self._known), "")
