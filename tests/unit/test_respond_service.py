"""The service LLM's own responses: what is asked, what becomes of it, and the program over real HTTP."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llamaduo.cli.errors import ServiceError
from llamaduo.config.services import BaselineGeneration
from llamaduo.inference.service_responses import requests, responses
from llamaduo.service.interface import Answer, Outcome, StopReason
from llamaduo.simulated.log import read_log
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.schemas.responses import RESPONSES
from llamaduo.storage.tables import read_rows, write_rows

ROOT = Path(__file__).parents[2]


def turns(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in pairs]


TEST = [
    {
        "prompt": "Hello?",
        "prompt_id": "p",
        "category": "QA",
        "messages": turns(("user", "Hello?"), ("assistant", "Hello.")),
    },
    {
        "prompt": "And now?",
        "prompt_id": "q",
        "category": "QA",
        "messages": turns(
            ("system", "Be brief."),
            ("user", "When?"),
            ("assistant", "Soon."),
            ("user", "And now?"),
            ("assistant", "Yes."),
        ),
    },
]


def outcome(text: str, stop_reason: StopReason = "stop") -> Outcome[Answer]:
    answer = Answer(text, stop_reason, 7, 2, "2026-01-01T00:00:00Z")
    return Outcome(answer, (answer,), None)


def test_every_test_prompt_is_asked_k_times_with_its_system_turn_and_earlier_turns() -> None:
    asked = requests(TEST, 2, BaselineGeneration())
    assert [(len(request.messages), request.replicate) for request in asked] == [(1, 0), (1, 1), (4, 0), (4, 1)]
    assert asked[2].messages[0] == {"role": "system", "content": "Be brief."}
    assert asked[2].messages[-1] == {"role": "user", "content": "And now?"}
    assert all(request.json_schema is None for request in asked)


def test_more_samples_ask_for_the_new_ones_only() -> None:
    def keys(samples: int) -> set:
        asked = requests(TEST, samples, BaselineGeneration())
        return {(json.dumps(request.messages), request.replicate) for request in asked}

    assert keys(2) < keys(4)


def test_answers_become_rows_by_prompt_and_sample() -> None:
    rows = responses(TEST, 2, [outcome("a"), outcome("b"), outcome("c"), outcome("d")], "claude", "claude-3")
    assert [(row["prompt_id"], row["sample"], row["candidate_responses"]) for row in rows] == [
        ("p", 0, "a"),
        ("p", 1, "b"),
        ("q", 0, "c"),
        ("q", 1, "d"),
    ]
    assert {(row["model_id"], row["model_sha"]) for row in rows} == {("claude", "claude-3")}
    assert rows[0]["instructions"] == "Hello?"
    assert rows[0]["target_responses"] == "Hello."
    assert rows[2]["messages"] == TEST[1]["messages"][:-1]


def test_a_refusal_stays_a_response_with_its_reason() -> None:
    row, cut = responses(TEST[:1], 2, [outcome("I cannot.", "refusal"), outcome("Hel", "length")], "c", "m")
    assert (row["candidate_responses"], row["finish_reason"]) == ("I cannot.", "refusal")
    assert cut["finish_reason"] == "length"


def test_a_response_that_cannot_be_had_fails_the_step() -> None:
    with pytest.raises(ServiceError, match=r"claude: 1 of 2 responses could not be had: timeout"):
        responses(TEST[:1], 2, [outcome("a"), Outcome(None, (), "timeout")], "claude", "m")


def test_the_program_answers_the_test_split_and_a_rerun_asks_nothing(tmp_path: Path) -> None:
    write_rows(tmp_path / "test.parquet", TEST, COVERAGE)
    service = {
        "provider": "anthropic",
        "model": "claude-3",
        "structured_output": False,
        "base_url": "simulated",
        "simulation": {"log": str(tmp_path / "served.jsonl")},
    }
    command: list[str | Path] = [sys.executable, ROOT / "scripts" / "respond_service.py"]
    command += ["--prompts", tmp_path / "test.parquet"]
    command += ["--service-name", "claude", "--service", json.dumps(service), "--samples", "3"]
    command += ["--asking.journals", tmp_path, "--asking.step", "journal", "--output", tmp_path / "responses.parquet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first = (tmp_path / "responses.parquet").read_bytes()
    assert len(read_rows(tmp_path / "responses.parquet", RESPONSES)) == 6
    subprocess.run(command, capture_output=True, check=True)
    assert len(read_log(tmp_path / "served.jsonl")) == 6
    assert (tmp_path / "responses.parquet").read_bytes() == first
