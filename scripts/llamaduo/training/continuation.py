"""How often a training is taken up again: the record of its attempts within one start of the workflow.

A workflow engine knows one number of retries for all that may happen. Here, being stopped by a time limit, a signal or
a kill is no failure, it is continued many times; a failure that may pass is tried again a few times; one that would
repeat is told once, and every further attempt of the same start tells it again at once. A new start tries anew.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from llamaduo.cli.errors import InputError
from llamaduo.storage.canonical import digest
from llamaduo.storage.files import read_json, write_json
from llamaduo.storage.lease import LeaseHeld
from llamaduo.training.deadline import Unfinished

UNFINISHED_STATUS = 75
"""The exit status of a training that stopped in good order for another job to continue it (sysexits.h: EX_TEMPFAIL)."""
MOST_IDLE = 3
"""Attempts in a row that may be killed without having written a checkpoint: the next would be, too."""


@dataclass
class Attempts:
    """What happened since the workflow was started. `outcome`: of the last attempt; `running` also after a kill.

    `advanced`: whether the last attempt wrote a checkpoint; `idle`: attempts in a row that were killed before one.
    """

    outcome: str = "running"
    message: str = ""
    continuations: int = 0
    failures: int = 0
    idle: int = 0
    advanced: bool = False
    hopeless: bool = False
    log: list[dict[str, Any]] = field(default_factory=list)


def record_of(state: Path, adapter: Path) -> Path:
    """The record of the attempts at an adapter, under the folder of unfinished trainings."""
    return state / "attempts" / f"{digest(str(adapter))}.json"


def read(record: Path) -> Attempts | None:
    """The record; None when there is none that can be read."""
    try:
        return Attempts(**read_json(record))
    except (OSError, ValueError, TypeError):
        return None


def is_hopeless(state: Path, adapter: Path) -> bool:
    """Whether another attempt at an adapter would end at once with the message of the one before."""
    attempts = read(record_of(state, adapter))
    return attempts is not None and attempts.hopeless


def forget_hopeless(state: Path) -> None:
    """Forget what an earlier start of the workflow told of trainings that it gave up: a new start tries anew."""
    for record in (state / "attempts").glob("*.json"):
        attempts = read(record)
        if attempts is not None and attempts.hopeless:
            record.unlink(missing_ok=True)


def begun(state: Path, adapter: Path, since: str) -> int:
    """How many attempts at an adapter have begun since a time, as `now` gives it."""
    attempts = read(record_of(state, adapter))
    return sum(attempt["began"] >= since for attempt in attempts.log) if attempts is not None else 0


def begin(record: Path, attempt: int, continuations: int, failures: int) -> None:
    """Note that an attempt begins; the first of a start of the workflow (`attempt` 1) forgets those of before.

    Raises `InputError` when it would fail again, or be killed again before a checkpoint, and when the budget of
    continuations or failures is used up.
    """
    attempts = (read(record) if attempt > 1 else None) or Attempts(outcome="new")
    if attempts.hopeless:
        raise InputError(attempts.message)
    attempts.idle = attempts.idle + 1 if attempts.outcome == "running" and not attempts.advanced else 0
    if attempts.idle >= MOST_IDLE:
        _give_up(
            record,
            attempts,
            f"killed {attempts.idle} times in a row before it wrote a checkpoint: for its memory (resource mem_mb of "
            "the rule finetune), or by a time limit (runtime) that ends before it began",
        )
    if attempts.outcome in ("running", "unfinished"):
        attempts.continuations += 1
        if attempts.continuations > continuations:
            _give_up(
                record,
                attempts,
                f"continued {continuations} times (training.continuations) and not finished; "
                "its checkpoint is kept: start the workflow again to go on from it",
            )
    if attempts.failures > failures:
        _give_up(record, attempts, f"failed {attempts.failures} times (training.failures), last: {attempts.message}")
    attempts.outcome, attempts.message, attempts.advanced = "running", "", False
    attempts.log.append({"began": now()})
    write_json(record, asdict(attempts))


def advance(record: Path) -> None:
    """Note that the attempt wrote a checkpoint, so that the next has less to do."""
    attempts = read(record)
    if attempts is not None and not attempts.advanced:
        attempts.advanced = True
        write_json(record, asdict(attempts))


@contextmanager
def recorded(record: Path) -> Iterator[None]:
    """Note in the record how the block ends, and let its error pass."""
    try:
        yield
    except Unfinished as stop:
        _end(record, "unfinished", str(stop))
        raise
    except LeaseHeld as error:
        _end(record, "failed", str(error))
        raise
    except InputError as error:
        _end(record, "failed", str(error), hopeless=True)
        raise
    except Exception as error:
        _end(record, "failed", f"{type(error).__name__}: {error}")
        raise


def finish(record: Path) -> list[dict[str, Any]]:
    """Remove the record of a training that is done; returns when its attempts began and how they ended."""
    attempts = read(record) or Attempts()
    record.unlink(missing_ok=True)
    return attempts.log


def _end(record: Path, outcome: str, message: str, hopeless: bool = False) -> None:
    attempts = read(record) or Attempts()
    if attempts.hopeless:
        return  # what one process of several has told is not lost in what the others say
    # Of several processes that fail together the first is counted; an error that would repeat is told in any case.
    attempts.failures += outcome == "failed" and attempts.outcome == "running"
    attempts.outcome, attempts.message, attempts.hopeless = outcome, message, hopeless
    if attempts.log:
        attempts.log[-1] |= {"ended": now(), "outcome": outcome, "message": message}
    write_json(record, asdict(attempts))


def _give_up(record: Path, attempts: Attempts, message: str) -> None:
    attempts.outcome, attempts.message, attempts.hopeless = "failed", message, True
    write_json(record, asdict(attempts))
    raise InputError(message)


def now(minutes_ago: float = 0) -> str:
    """The time as the record has it, or the time so long ago; later times are greater."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60 * minutes_ago))
