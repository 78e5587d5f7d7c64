"""Steps in batches that are killed at the worst moments: nothing is lost, and nothing is paid for twice.

The simulated service runs apart from the processes that are killed.
"""

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from batch_runs import (
    ANSWERS,
    VENDORS,
    in_a_process,
    open_batches_at,
    records,
    run_to_the_end,
    served,
    simulated,
    step_of,
)
from batch_step import in_batches, settings, wait_for
from gateway import gateway

CREATE = {
    "openai": "/v1/batches",
    "anthropic": "/v1/messages/batches",
    "gemini": "/v1beta/models/m:batchGenerateContent",
}
UPLOAD = {"openai": "/v1/files", "gemini": "/upload/v1beta/files"}
RESULTS = {
    "openai": "/v1/files/.*/content",
    "anthropic": "/v1/messages/batches/.*/results",
    "gemini": "/v1beta/files/.*:download",
}


@pytest.mark.parametrize(
    ("provider", "path", "moment"),
    [
        ("openai", UPLOAD["openai"], "after"),
        ("openai", CREATE["openai"], "before"),
        ("openai", CREATE["openai"], "after"),
        ("anthropic", CREATE["anthropic"], "before"),
        ("anthropic", CREATE["anthropic"], "after"),
        ("gemini", UPLOAD["gemini"], "after"),
        ("gemini", CREATE["gemini"], "after"),
    ],
)
def test_a_kill_while_submitting_neither_loses_nor_doubles_a_batch(
    provider: str, path: str, moment: Any, tmp_path: Path
) -> None:
    with simulated(tmp_path) as address, gateway(address) as way:
        way.hold("POST", path, moment)
        process = in_a_process("submit", way.address, provider, tmp_path)
        way.wait_until_held()
        process.send_signal(signal.SIGKILL)
        process.wait()

        answers = run_to_the_end(settings(address, provider), tmp_path)

        assert len(open_batches_at(address, provider)) == 1
        assert (served(tmp_path).answered, served(tmp_path).repeated) == (ANSWERS, 0)
    assert len(answers) == ANSWERS


@pytest.mark.parametrize("provider", VENDORS)
def test_a_kill_while_fetching_loses_nothing(provider: str, tmp_path: Path) -> None:
    with simulated(tmp_path) as address, gateway(address) as way:
        in_batches(settings(address, provider), tmp_path).submit()
        way.hold("GET", RESULTS[provider], "after")
        process = in_a_process("wait", way.address, provider, tmp_path)
        way.wait_until_held()
        process.send_signal(signal.SIGKILL)
        process.wait()

        answers = run_to_the_end(settings(address, provider), tmp_path)

        assert (served(tmp_path).answered, served(tmp_path).repeated) == (ANSWERS, 0)
    assert len(answers) == ANSWERS


def test_a_kill_between_the_journal_and_the_note_that_all_is_collected_doubles_no_record(tmp_path: Path) -> None:
    with simulated(tmp_path) as address:
        service = settings(address, "openai")
        in_batches(service, tmp_path).submit()
        wait_for(service, tmp_path)
        shutil.copytree(tmp_path / "batches", tmp_path / "before")
        in_batches(service, tmp_path).collect("collecting")
        kept = records(tmp_path)
        shutil.rmtree(tmp_path / "batches")
        (tmp_path / "before").rename(tmp_path / "batches")

        in_batches(service, tmp_path).collect("collecting")

    assert records(tmp_path) == kept
    assert not step_of(tmp_path).open_batches()


def test_anothers_batch_of_the_same_size_is_told_apart_by_its_calls(tmp_path: Path) -> None:
    """Anthropic's batches have no names: after a kill one may be taken for ours that another workflow has made."""
    with simulated(tmp_path) as address, gateway(address) as way:
        way.hold("POST", CREATE["anthropic"], "before")
        process = in_a_process("submit", way.address, "anthropic", tmp_path)
        way.wait_until_held()
        process.send_signal(signal.SIGKILL)
        process.wait()
        other = settings(address, "anthropic", model="another")
        in_batches(other, tmp_path / "other").submit()

        answers = run_to_the_end(settings(address, "anthropic"), tmp_path)

        assert len(open_batches_at(address, "anthropic")) == 2
        assert served(tmp_path).repeated == 0
    assert len(answers) == ANSWERS
