"""A run's verdict is made from the decisions of its cycles."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llamaduo.cli.errors import InputError
from llamaduo.report.verdict import close_run
from llamaduo.storage.files import read_json

PROGRAM = Path(__file__).parents[2] / "scripts" / "close_run.py"


def decision(volume: int, verdict: str, **more: object) -> dict[str, object]:
    generator = "gpt-4o" if volume else "coverage"
    values = {"task": "coding", "generator": generator, "model": "gemma-2b", "volume": volume, "verdict": verdict}
    return {**values, "reason": None, "advice": None, "criteria": [], **more}


def test_a_converged_run_ends_with_the_volume_that_it_converged_at() -> None:
    verdict = close_run([decision(0, "expand"), decision(1000, "expand"), decision(2000, "converged")])
    shown = {key: verdict[key] for key in ("task", "generator", "model", "verdict", "reason", "volume", "cycles")}
    assert shown == {
        "task": "coding",
        "generator": "gpt-4o",
        "model": "gemma-2b",
        "verdict": "converged",
        "reason": None,
        "volume": 2000,
        "cycles": 3,
    }
    assert [each["volume"] for each in verdict["decisions"]] == [0, 1000, 2000]


def test_a_volume_that_the_pool_did_not_reach_was_not_trained_on() -> None:
    shortfall = decision(1000, "exhausted", reason="yield", advice="raise the bound")
    verdict = close_run([decision(0, "expand"), shortfall])
    assert (verdict["verdict"], verdict["reason"], verdict["advice"]) == ("exhausted", "yield", "raise the bound")
    assert (verdict["volume"], verdict["cycles"]) == (0, 1)
    assert close_run([shortfall])["volume"] is None


def test_a_run_that_ends_at_volume_0_takes_its_generator_from_the_option() -> None:
    verdict = close_run([decision(0, "converged")], generator="claude")
    assert (verdict["generator"], verdict["volume"], verdict["cycles"]) == ("claude", 0, 1)


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ([], "without decisions"),
        ([decision(0, "expand")], "has not ended"),
        ([decision(0, "converged"), decision(1000, "converged")], "no decision comes after"),
        ([decision(1000, "expand"), decision(0, "converged")], "order of their volumes"),
        ([decision(0, "expand"), decision(1000, "converged", model="llama")], "gemma-2b and llama"),
        ([decision(0, "expand"), decision(1000, "converged", generator="claude")], "not of 'gpt-4o'"),
    ],
)
def test_decisions_that_are_not_one_whole_run_are_refused(decisions: list[dict[str, object]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        close_run(decisions, generator="gpt-4o")


def test_the_program_reads_decisions_and_writes_the_verdict(tmp_path: Path) -> None:
    paths = []
    for each in (decision(0, "expand"), decision(1000, "exhausted", reason="volumes")):
        paths.append(tmp_path / f"{each['volume']}.json")
        paths[-1].write_text(json.dumps(each))
    output = tmp_path / "verdict.json"
    command: list[str | Path] = [sys.executable, PROGRAM, "--decisions", *paths]
    command += ["--generator", "gpt-4o", "--output", output]
    subprocess.run(command, check=True)
    assert (read_json(output)["verdict"], read_json(output)["reason"]) == ("exhausted", "volumes")


@pytest.mark.parametrize(("text", "message"), [(None, "no such file"), ("{", "not JSON")])
def test_a_decision_that_cannot_be_read_is_one_clear_message(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "decision.json"
    if text is not None:
        path.write_text(text)
    command: list[str | Path] = [sys.executable, PROGRAM, "--decisions", path, "--output", tmp_path / "verdict.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {path}: {message}")
    assert "Traceback" not in done.stderr
