"""The real SDKs against the simulated service, which `ask_all` starts itself: with faults the same as without."""

import json
from pathlib import Path

import pytest

from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.models.messages import Message
from llamaduo.service.client import ask_all
from llamaduo.service.interface import Answer, Outcome, Request

REQUESTS = [
    Request(
        (Message(role="system", content="Be brief."), Message(role="user", content=f"What is {number}?")),
        None,
        Generation(max_tokens=50),
        replicate,
    )
    for number in range(10)
    for replicate in range(2)
]


def ask(provider: str, journal: Path, **simulation: object) -> list[Outcome[Answer]]:
    service = ServiceSettings.model_validate(
        {"provider": provider, "model": "simulated-1", "base_url": "simulated", "simulation": simulation}
    )
    return ask_all("s", service, REQUESTS, lambda answer: answer, journal, "asking")


def texts(outcomes: list[Outcome[Answer]]) -> list[str]:
    return [outcome.answers[0].text for outcome in outcomes]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini"])
def test_faults_that_pass_change_no_answer(provider: str, tmp_path: Path) -> None:
    log = tmp_path / "served.jsonl"

    plain = ask(provider, tmp_path / "plain.jsonl")
    faults = {"rate_limit": 0.1, "server_error": 0.1, "dropped": 0.1, "overloaded": 0.1, "broken_body": 0.1}
    faulty = ask(provider, tmp_path / "faulty.jsonl", faults=faults, log=str(log))

    assert all(outcome.answers[0].text for outcome in plain)
    assert texts(faulty) == texts(plain)
    served = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(served) > len(REQUESTS)
    assert sum(line["status"] == 200 for line in served) == len(REQUESTS)


@pytest.mark.parametrize(
    ("provider", "reason"), [("openai", "refusal"), ("anthropic", "refusal"), ("gemini", "filtered")]
)
def test_refusals_are_answers_and_say_so(provider: str, reason: str, tmp_path: Path) -> None:
    outcomes = ask(provider, tmp_path / "journal.jsonl", faults={"refusal": 1.0})

    assert {outcome.answers[0].stop_reason for outcome in outcomes} == {reason}
    assert all(len(outcome.answers) == 1 for outcome in outcomes)
