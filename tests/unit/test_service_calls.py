"""How requests are put into calls: several samples each, as many as are needed, and to an end."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import answering_server, ask, completion, lines, question, service_at, whole
from vendor_server import Reaction, Received, VendorServer

from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.models.messages import Message
from llamaduo.service.client import ask_all, ask_each
from llamaduo.service.interface import Outcome, Request
from llamaduo.service.journal import identity
from llamaduo.service.journal.identity import Spelling


@pytest.fixture
def server() -> Iterator[VendorServer]:
    with answering_server() as running:
        yield running


def asked(server: VendorServer) -> list[tuple[str, int]]:
    """What each call asked for: its first "replicate.attempt", and how many samples."""
    return sorted((call.headers["x-llamaduo-replicate"], call.body.get("n", 1)) for call in server.received)


# Several samples per call


@pytest.mark.parametrize("samples", [1, 2, 4, 5, 8])
def test_calls_of_several_samples_give_the_answers_of_single_ones(
    samples: int, server: VendorServer, tmp_path: Path
) -> None:
    requests = [question(text, replicate) for text in "ab" for replicate in range(5)]

    outcomes = ask(server, tmp_path, requests, samples_per_call=samples)

    assert [outcome.value for outcome in outcomes] == [
        f"{text} {replicate}.0" for text in "ab" for replicate in range(5)
    ]
    assert len(server.received) == 2 * -(-5 // samples)
    keys = {identity.key(service_at(server.address), request, 0) for request in requests}
    assert {line["key"] for line in lines(tmp_path)} == keys
    assert sum(line["answer"]["prompt_tokens"] for line in lines(tmp_path)) == 7 * len(server.received)


def test_twelve_grades_instead_of_ten_ask_for_two_more(server: VendorServer, tmp_path: Path) -> None:
    ask(server, tmp_path, [question("q", replicate) for replicate in range(10)], samples_per_call=5)
    outcomes = ask(server, tmp_path, [question("q", replicate) for replicate in range(12)], samples_per_call=5)

    assert [outcome.value for outcome in outcomes] == [f"q {replicate}.0" for replicate in range(12)]
    assert asked(server) == [("0.0", 5), ("10.0", 2), ("5.0", 5)]


def test_only_what_the_journal_lacks_is_asked_for(server: VendorServer, tmp_path: Path) -> None:
    ask(server, tmp_path, [question("q", 2), question("q", 5)])
    server.received.clear()

    outcomes = ask(server, tmp_path, [question("q", replicate) for replicate in range(8)], samples_per_call=4)

    assert [outcome.value for outcome in outcomes] == [f"q {replicate}.0" for replicate in range(8)]
    assert asked(server) == [("0.0", 2), ("3.0", 2), ("6.0", 2)]


def test_samples_that_did_not_come_are_asked_for_again(server: VendorServer, tmp_path: Path) -> None:
    server.react = lambda request, number: completion(request, samples=min(2, request.body.get("n", 1)))

    outcomes = ask(server, tmp_path, [question("q", replicate) for replicate in range(5)], samples_per_call=5)

    assert [outcome.value for outcome in outcomes] == [f"q {replicate}.0" for replicate in range(5)]
    assert asked(server) == [("0.0", 5), ("2.0", 3), ("4.0", 1)]


def test_malformed_samples_are_asked_for_again_and_the_good_ones_kept(server: VendorServer, tmp_path: Path) -> None:
    server.react = lambda request, number: completion(request, broken=("1.0", "2.0", "4.0", "4.1"))

    outcomes = ask(server, tmp_path, [question("q", replicate) for replicate in range(5)], samples_per_call=5)

    assert [outcome.value for outcome in outcomes] == ["q 0.0", "q 1.1", "q 2.1", "q 3.0", "q 4.2"]
    assert [len(outcome.answers) for outcome in outcomes] == [1, 2, 2, 1, 3]
    assert asked(server) == [("0.0", 5), ("1.1", 2), ("4.1", 1), ("4.2", 1)]


def test_a_prompt_too_long_is_said_once_for_all_samples(server: VendorServer, tmp_path: Path) -> None:
    server.react = lambda request, number: Reaction(status=400, text="too long", stop="context_length_exceeded")

    outcomes = ask_all(
        "s",
        service_at(server.address, samples_per_call=4),
        [question("q", replicate) for replicate in range(4)],
        lambda answer: (answer.stop_reason, answer.detail),
        tmp_path / "journal.jsonl",
        "asking",
    )

    assert [outcome.value for outcome in outcomes] == [("length", "too long")] * 4
    assert len(server.received) == 1
    assert len(lines(tmp_path)) == 4


def test_a_filtered_sample_does_not_stand_for_the_others_of_its_call(server: VendorServer, tmp_path: Path) -> None:
    def react(request: Received, number: int) -> Reaction:
        reaction = completion(request)
        first = reaction.body["choices"][0]
        first["finish_reason"], first["message"]["content"] = "content_filter", ""
        return reaction

    server.react = react
    outcomes = ask(server, tmp_path, [question("q", replicate) for replicate in range(3)], samples_per_call=3)

    assert [outcome.value for outcome in outcomes] == ["", "q 1.0", "q 2.0"]
    assert [line["answer"]["stop_reason"] for line in lines(tmp_path)] == ["filtered", "stop", "stop"]


def test_all_samples_of_a_call_go_to_disk_together(
    server: VendorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    sync = os.fsync

    def sync_and_count(handle: int) -> None:
        synced.append(handle)
        sync(handle)

    monkeypatch.setattr(os, "fsync", sync_and_count)

    ask(server, tmp_path, [question("q", replicate) for replicate in range(8)], samples_per_call=8)

    assert len(lines(tmp_path)) == 8
    assert len(synced) == 2, "once for the folder, and once for the call"


def test_anthropics_cache_is_written_by_one_call_before_the_others_read_it(
    server: VendorServer, tmp_path: Path
) -> None:
    server.react = lambda request, number: Reaction(text="ok", delay=0.2)
    requests = [question(text, replicate) for text in "ab" for replicate in range(4)]

    ask(server, tmp_path, requests, provider="anthropic", concurrency=8)

    first = [call.headers["x-llamaduo-replicate"] for call in server.received[:2]]
    assert first == ["0.0", "0.0"]
    assert server.most_in_flight >= 3, "the others go together"
    assert len(server.received) == 8


# What is kept in memory, and what a key is


def test_any_number_of_requests_may_come_one_by_one(server: VendorServer, tmp_path: Path) -> None:
    told: dict[int, str | None] = {}
    ahead = 0

    def requests() -> Iterator[Request]:
        nonlocal ahead
        for number in range(60):
            ahead = max(ahead, number - len(told))
            yield question(f"q{number}")

    service = service_at(server.address, concurrency=4)
    ask_each(
        "s",
        service,
        requests(),
        whole,
        tmp_path / "journal.jsonl",
        "asking",
        lambda place, outcome: told.update({place: outcome.value}),
    )

    assert told == {number: f"q{number} 0.0" for number in range(60)}
    assert ahead <= 6, "requests are taken as calls are made"


def test_a_request_repeated_while_it_is_in_flight_is_asked_once(server: VendorServer, tmp_path: Path) -> None:
    outcomes = ask(server, tmp_path, [question("a"), question("b"), question("a"), question("b"), question("a")])

    assert [outcome.value for outcome in outcomes] == ["a 0.0", "b 0.0", "a 0.0", "b 0.0", "a 0.0"]
    assert len(server.received) == 2


@pytest.mark.parametrize("simulated", [True, False])
@pytest.mark.parametrize("structured", [True, False])
def test_the_fast_spelling_of_a_record_is_the_canonical_one(simulated: bool, structured: bool) -> None:
    from llamaduo.storage.canonical import canonical

    service = ServiceSettings.model_validate(
        {
            "provider": "openai",
            "model": 'm"ü',
            "base_url": "http://localhost:1",
            "simulated": simulated,
            "structured_output": structured,
        }
    )
    spelling = Spelling(service)
    schemas = [None, {"type": "object", "properties": {"é": {"b": 1, "a": [True, None]}}}]
    for text in ("q", 'a\n"\\\u2028好', "q"):
        for schema in schemas:
            for replicate in range(2):
                request = Request((Message(role="user", content=text),), schema, Generation(top_p=0.5), replicate)
                for attempt in range(2):
                    key, record = spelling.spell(request, attempt)
                    assert record == canonical(identity.record(service, request, attempt))
                    assert key == identity.key(service, request, attempt)


# Being told to end

CLIENT = """
import sys
from pathlib import Path
from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.cli.program import run
from llamaduo.service.client import ask_all
from llamaduo.service.interface import Request

def main(*, address: str, journal: Path) -> None:
    service = ServiceSettings(provider="openai", model="m", simulated=True, base_url=address, concurrency=4)
    requests = (Request(({"role": "user", "content": f"q{i}"},), None, Generation()) for i in range(400))
    ask_all("s", service, requests, lambda answer: answer.text, journal, "asking")

run(main, "")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_awaits_what_is_in_flight_and_says_how_to_go_on(
    number: signal.Signals, server: VendorServer, tmp_path: Path
) -> None:
    def react(request: Received, count: int) -> Reaction:
        reaction = completion(request)
        reaction.delay = 0.3
        return reaction

    server.react = react
    journal = tmp_path / "journal.jsonl"
    command = [sys.executable, "-c", CLIENT, f"--address={server.address}", f"--journal={journal}"]
    with subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": "scripts"}, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while server.answered < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)

    assert process.returncode == 1
    assert told.splitlines()[-1].startswith(f"error: told to end by {number.name}. What was answered is kept")
    assert len(lines(tmp_path)) == server.answered == len(server.received)


def test_within_a_thread_it_works_without_handling_signals(server: VendorServer, tmp_path: Path) -> None:
    async def elsewhere() -> list[Outcome[str]]:
        return await asyncio.to_thread(ask, server, tmp_path, [question("a")])

    (outcome,) = asyncio.run(elsewhere())

    assert outcome.value == "a 0.0"
