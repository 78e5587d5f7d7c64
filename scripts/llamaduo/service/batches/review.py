"""Batches as a person looks at them and gives them up."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

from llamaduo.service.batches.records import Batch, Ending, Step, now


def line(step: Step, batch: Batch, root: Path) -> str:
    """One batch: its step below the folder `root`, the vendor's id, size, state and age."""
    facts, ending, status = batch.facts, batch.ending, batch.status
    age = timedelta(seconds=int((now() - datetime.fromisoformat(facts.since)).total_seconds()))
    if ending is not None:
        state = f"{ending.word}, {ending.answered} answered, to be collected"
    else:
        state = f"{status.word}, {status.done} done" if status is not None else "submitted"
    where = step.folder.relative_to(root).as_posix()
    return f"{where}  {batch.id or 'not submitted'}  {facts.calls} calls  {state}  {age} old"


def forget(step: Step, batches: Iterable[Batch]) -> None:
    """Take batches for ended without any answer, so that the next start of the workflow submits their calls again."""
    with step.held():
        for batch in batches:
            batch.note_ending(Ending("forgotten", 0, "forgotten by hand"))
