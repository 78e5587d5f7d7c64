"""The record of the attempts at a training: what is continued, what is tried again, what is told."""

from pathlib import Path

import pytest

from llamaduo.cli.errors import InputError
from llamaduo.storage.files import read_json, write_json
from llamaduo.storage.lease import LeaseHeld
from llamaduo.training.continuation import (
    advance,
    begin,
    begun,
    forget_hopeless,
    is_hopeless,
    now,
    record_of,
    recorded,
)
from llamaduo.training.deadline import Unfinished


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return record_of(tmp_path, Path("adapter"))


def end_with(record: Path, error: Exception) -> None:
    with pytest.raises(type(error)), recorded(record):
        raise error


def test_being_stopped_or_killed_is_no_failure_and_is_continued_as_often_as_allowed(record: Path) -> None:
    begin(record, 1, continuations=2, failures=0)
    end_with(record, Unfinished("time"))
    begin(record, 2, continuations=2, failures=0)  # and is killed
    begin(record, 3, continuations=2, failures=0)
    end_with(record, Unfinished("time"))
    with pytest.raises(InputError, match=r"continued 2 times \(training.continuations\) and not finished"):
        begin(record, 4, continuations=2, failures=0)
    begin(record, 1, continuations=2, failures=0)  # a new start of the workflow


def test_being_killed_again_and_again_before_a_checkpoint_is_told(record: Path) -> None:
    begin(record, 1, continuations=30, failures=2)
    advance(record)
    for attempt in (2, 3, 4):
        begin(record, attempt, continuations=30, failures=2)  # and is killed
    with pytest.raises(InputError, match=r"killed 3 times in a row before it wrote a checkpoint: for its memory"):
        begin(record, 5, continuations=30, failures=2)
    assert is_hopeless(record.parent.parent, Path("adapter"))


def test_a_failure_that_may_pass_is_tried_again_a_few_times(record: Path) -> None:
    for attempt in (1, 2, 3):
        begin(record, attempt, continuations=30, failures=2)
        end_with(record, RuntimeError("CUDA error: unspecified launch failure"))
    with pytest.raises(InputError, match=r"failed 3 times .* CUDA error"):
        begin(record, 4, continuations=30, failures=2)


def test_another_holder_of_the_training_is_a_failure_that_may_pass(record: Path) -> None:
    begin(record, 1, continuations=30, failures=2)
    end_with(record, LeaseHeld("in use by process 5"))
    begin(record, 2, continuations=30, failures=2)


def test_a_new_start_forgets_what_was_given_up_before_its_first_attempt_begins(record: Path) -> None:
    """That attempt may end before its program does anything, and is then no last one."""
    state, other = record.parent.parent, record_of(record.parent.parent, Path("other"))
    begin(other, attempt=1, continuations=30, failures=2)
    begin(record, attempt=1, continuations=30, failures=0)
    with pytest.raises(InputError, match="no such row"), recorded(record):
        raise InputError("no such row")
    names = [Path(name) for name in ("adapter", "other", "third")]
    assert [begun(state, name, since="2026") for name in names] == [1, 1, 0]

    forget_hopeless(state)

    assert not is_hopeless(state, Path("adapter"))
    assert [begun(state, name, since="2026") for name in names] == [0, 1, 0]


def test_attempts_of_an_earlier_start_are_not_among_those_of_this_one(record: Path) -> None:
    begin(record, attempt=1, continuations=30, failures=2)
    begin(record, attempt=2, continuations=30, failures=2)
    log = read_json(record)["log"]
    write_json(record, read_json(record) | {"log": [{"began": "2026-01-01T00:00:00Z"}, *log]})

    assert begun(record.parent.parent, Path("adapter"), since=log[0]["began"]) == 2
    assert begun(record.parent.parent, Path("adapter"), since="2026-01-01T00:00:00Z") == 3
    assert now() >= log[-1]["began"] > now(minutes_ago=5)
