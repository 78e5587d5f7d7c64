"""What SLURM says about jobs, read from squeue: it knows them while they live and for some time after."""

import os
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llamaduo.errors import ServiceError

FIELDS = ("%i", "%T", "%R", "%M", "%L", "%k", "%Z")
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
    """

    id: str
    state: str
    where: str
    used: str
    left: str
    comment: str
    folder: Path

    @property
    def lives(self) -> bool:
        """Whether it runs, waits to run, or is about to end."""
        return self.state not in ENDED

    @property
    def waits(self) -> bool:
        """Whether it has not begun."""
        return self.state in WAITING


def read_jobs(states: str | None = None, patience: float = 0) -> list[ClusterJob]:
    """The jobs of this user that SLURM knows. `states` as squeue takes them; by default those that live.

    A controller that does not answer is asked again for `patience` seconds. Raises `ServiceError` when it stays silent.
    """
    command = ["squeue", "--noheader", "--array", "--user", str(os.getuid()), "--format", "\x1f".join(FIELDS)]
    command += ["--states", states] if states else []
    end = time.monotonic() + patience
    while True:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no outside words
        except FileNotFoundError:
            raise ServiceError("squeue: no such program; SLURM is not installed here") from None
        if done.returncode == 0:
            return parse(done.stdout.splitlines())
        if time.monotonic() >= end:
            raise ServiceError(f"squeue: SLURM's controller does not answer: {done.stderr.strip()}")
        time.sleep(5)


def parse(lines: Iterable[str]) -> list[ClusterJob]:
    """Jobs from lines of squeue in the format of `read_jobs`."""
    jobs = []
    for line in lines:
        fields = line.split("\x1f")
        if len(fields) == len(FIELDS):
            number, state, where, used, left, comment, folder = fields
            jobs.append(ClusterJob(number, state, where, used, left, comment, Path(folder)))
    return jobs


def cancel(jobs: Iterable[ClusterJob]) -> None:
    """Ask SLURM to end jobs. Raises `ServiceError` when it refuses."""
    names = [job.id for job in jobs]
    if names:
        done = subprocess.run(["scancel", *names], capture_output=True, text=True, check=False)  # noqa: S603, S607
        if done.returncode:
            raise ServiceError(f"scancel: {done.stderr.strip()}")
