"""What SLURM says about jobs, read from squeue: it knows them while they live and for some time after."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from llamaduo.cli.errors import ServiceError

PAUSE_SECONDS = 5
ANSWER_SECONDS = 60
"""A program of SLURM's that takes longer does not answer."""
MAY_PASS = re.compile(
    "|".join(
        [
            r"unable to (contact|connect|resolve|establish)|name resolution|connection (refused|reset|timed out)",
            r"timed out|not connected|zero bytes|unexpected message|no route|network is unreachable",
            r"standby mode|temporarily un(able|available)|retry momentarily|rate limit",
            r"i/o error writing|munge|authentication|inactive or drain",
            r"(max|grp)submitjob",
        ]
    ),
    re.IGNORECASE,
)
"""What SLURM's programs say when the same may go well later: an outage, an upgrade, limits on jobs at once."""
NO_SUCH_JOB = re.compile(r"invalid job id|already completing or completed", re.IGNORECASE)
TIME = re.compile(r"(?:(?:(\d+)-)?(\d+):)?(\d+):(\d+)")
FIELDS = ("%i", "%T", "%R", "%M", "%L", "%k", "%j", "%Z")
ENDED = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
}
WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}


@dataclass(frozen=True)
class ClusterJob:
    """A job, or one task of an array (`id` is then ARRAY_TASK).

    `where` is the node it runs on, or in brackets why it waits; `used` and `left` are times as squeue writes them.
    `name` is what all jobs of one start of the workflow share.
    """

    id: str
    state: str
    where: str
    used: str
    left: str
    comment: str
    name: str
    folder: Path

    @property
    def lives(self) -> bool:
        """Whether it runs, waits to run, or is about to end."""
        return self.state not in ENDED

    @property
    def waits(self) -> bool:
        """Whether it has not begun."""
        return self.state in WAITING

    @property
    def seconds(self) -> float:
        """How long it has run so far, or did, since SLURM started it last."""
        return seconds_of(self.used)


def read_jobs(states: str | None = None, patience: float = 0) -> list[ClusterJob]:
    """The jobs of this user that SLURM knows. `states` as squeue takes them; by default those that live.

    A controller that does not answer is asked again for `patience` seconds. Raises `ServiceError` when it stays silent.
    """
    command = ["squeue", "--noheader", "--array", "--user", str(os.getuid()), "--format", "\x1f".join(FIELDS)]
    return parse(ask(*command, *(["--states", states] if states else []), patience=patience).splitlines())


def ask(*command: str, patience: float = 0, unless_refused: bool = False) -> str:
    """What one of SLURM's programs prints.

    Where it fails it is asked again for `patience` seconds; with `unless_refused` only where that is known to help.
    Raises `ServiceError` with what it complained of.
    """
    end, told = time.monotonic() + patience, ""
    while True:
        refused = False
        try:
            done = subprocess.run(  # noqa: S603 - no outside words
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=ANSWER_SECONDS,
                check=False,
                env=_all_shown(os.environ),
            )
        except FileNotFoundError:
            raise ServiceError(f"{command[0]}: no such program; SLURM is not installed here") from None
        except OSError as reason:
            complaint = str(reason)
        except subprocess.TimeoutExpired:
            complaint = f"no answer in {ANSWER_SECONDS} s"
        else:
            if done.returncode == 0:
                return done.stdout
            complaint = done.stderr.strip() or f"it ended with status {done.returncode}"
            refused = unless_refused and not MAY_PASS.search(complaint)
        error = f"{command[0]}: SLURM does not answer: {complaint}"
        if refused or time.monotonic() >= end or NO_SUCH_JOB.search(complaint):
            raise ServiceError(error)
        if complaint != told:
            print(f"{error}; asking again, for {patience:g} s at most", file=sys.stderr, flush=True)
            told = complaint
        time.sleep(PAUSE_SECONDS)


def _all_shown(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what a user has set for their own eyes, such as SQUEUE_PARTITION, which hides jobs."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("SQUEUE_", "SACCT_"))}
    return kept | {"SQUEUE_ALL": "1"}


def parse(lines: Iterable[str]) -> list[ClusterJob]:
    """Jobs from lines of squeue in the format of `read_jobs`."""
    jobs = []
    for line in lines:
        fields = line.split("\x1f")
        if len(fields) == len(FIELDS):
            number, state, where, used, left, comment, name, folder = fields
            jobs.append(ClusterJob(number, state, where, used, left, comment, name, Path(folder)))
    return jobs


def seconds_of(time: str) -> float:
    """Seconds of a time as squeue writes it: MM:SS, HH:MM:SS or DAYS-HH:MM:SS; 0 of anything else."""
    found = TIME.fullmatch(time)
    if not found:
        return 0.0
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def read_states(command: str) -> dict[str, str]:
    """The states of jobs by their ids, from a command that prints `ID|STATE` for each. Raises `ServiceError`."""
    rows = (line.partition("|") for line in ask(*shlex.split(command)).splitlines())
    return {job.strip(): state.strip() for job, bar, state in rows if job.strip() and bar}


def cancel(jobs: Iterable[ClusterJob], patience: float = 0) -> None:
    """Have SLURM end jobs; one that has ended meanwhile is none of its business.

    A controller that does not answer is asked again for `patience` seconds. Raises `ServiceError` when it refuses.
    """
    names = [job.id for job in jobs]
    if names:
        _scancel(*names, patience=patience)


def cancel_all_named(name: str, patience: float = 0) -> None:
    """Have SLURM end all jobs of one name, whether or not their ids are known. As `cancel` otherwise."""
    _scancel(f"--user={os.getuid()}", f"--name={name}", patience=patience)


def _scancel(*arguments: str, patience: float) -> None:
    try:
        ask("scancel", *arguments, patience=patience)
    except ServiceError as error:
        if not NO_SUCH_JOB.search(str(error)):
            raise
