"""When a training has to stop for another job to continue it: the job's time limit, and signals."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

import psutil

STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
RESERVE_SECONDS = 30.0
"""For ending the process, and for what no measurement shows."""
UNMEASURED_SAVE_SECONDS = 30.0
"""What a first checkpoint is taken to need."""
SLACK = 1.5
"""A step, a validation or a checkpoint may take so many times as long as the longest so far."""
LONGEST_START_SECONDS = 600.0
"""What the programs before this one are taken to need at most. A job that began earlier does more than this training,
such as one that somebody works in, and the training's time limit is not that job's."""
KEEPER = "slurmstepd"
"""SLURM's process that starts and watches those of a job's step."""


class Unfinished(Exception):  # noqa: N818
    """A training stopped in good order, with a checkpoint, for another job to continue it.

    `alone`: the other processes of this training do not know, and have to be ended.
    """

    def __init__(self, message: str, alone: bool = False) -> None:
        super().__init__(message)
        self.alone = alone


def end_of_job(
    time_limit: float | None, began: float | None = None, environment: Mapping[str, str] = os.environ
) -> float | None:
    """When this job will be ended, in seconds since 1970: the earlier of its time limit and what SLURM says.

    `time_limit` is in minutes from the start of the job; None: no limit. `began` is that start, where it is known.
    """
    ends = []
    if time_limit is not None:
        ends.append((start_of_job(environment) if began is None else began) + 60 * time_limit)
    if environment.get("SLURM_JOB_END_TIME", "").isdigit():
        ends.append(float(environment["SLURM_JOB_END_TIME"]))
    return min(ends, default=None)


def start_of_job(environment: Mapping[str, str] = os.environ) -> float:
    """When this job began, in seconds since 1970: the start of SLURM's first process of the job on this node; without
    SLURM the start of this process.

    On a slow file system minutes may lie between the job's first process and this one.
    """
    own, job = psutil.Process().create_time(), environment.get("SLURM_JOB_ID")
    begun = [start for start in _starts_of_steps(job) if start > own - LONGEST_START_SECONDS] if job else []
    return min([own, *begun])


def _starts_of_steps(job: str) -> Iterator[float]:
    """When SLURM's keepers of steps began the first processes of a job on this node.

    Only those: where SLURM has put a job back into the queue, processes of its earlier attempt may have stayed behind.
    """
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            parent = process.parent() if process.environ().get("SLURM_JOB_ID") == job else None
            if parent is not None and parent.name().startswith(KEEPER):
                yield process.create_time()


@dataclass
class Pace:
    """The longest times measured so far, in seconds."""

    step: float = 0.0
    validation: float = 0.0
    save: float | None = None

    def margin(self) -> float:
        """The time to be left before the end of the job when another step is begun."""
        save = UNMEASURED_SAVE_SECONDS if self.save is None else self.save
        return RESERVE_SECONDS + SLACK * (self.step + self.validation + save)


class StopSignals:
    """Notes the signals that ask a training to stop, from when it is entered until it is left."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._before: dict[signal.Signals, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> "StopSignals":
        for number in STOPPING_SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)


@dataclass
class Deadline:
    """Says, after each step, whether it was the last that this job has time for, and why."""

    end: float | None
    signals: StopSignals
    pace: Pace

    def reason_to_stop(self) -> str | None:
        """Why the training has to stop now; None when there is time for another step."""
        if self.signals.received is not None:
            return f"{self.signals.received.name} received"
        if self.end is None:
            return None
        left, margin = self.end - time.time(), self.pace.margin()
        if left > margin:
            return None
        return f"the job ends in {max(0, left):.0f} s, and a step and a checkpoint may take {margin:.0f} s"
