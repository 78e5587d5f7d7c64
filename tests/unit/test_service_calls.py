"""How requests are put into calls: several samples each, within limits and a budget, through outages and to an end."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from vendor_server import Reaction, Received, VendorServer, vendor_server

from llamaduo.config.services import Generation, Price, ServiceSettings
from llamaduo.errors import InputError, ServiceError
from llamaduo.messages import Message
from llamaduo.service import breaker, identity, retry
from llamaduo.service.client import ask_all, ask_each
from llamaduo.service.identity import Spelling
from llamaduo.service.interface import Answer, BudgetReached, Outcome, Request, Unacceptable

PRICE = Price(prompt=1.0, completion=2.0)


@pytest.fixture
def server() -> Iterator[VendorServer]:
    with vendor_server() as running:
        running.react = lambda request, number: completion(request)
        yield running


def completion(request: Received, samples: int | None = None, broken: tuple[str, ...] = ()) -> Reaction:
    """Samples that say what was asked and which "replicate.attempt" each of them stands for.

    `samples`: as many as were asked for, when not given. `broken`: those that are not what was asked for.
    """
    if "n" in request.body:
        assert request.body["n"] > 1
    first, _, attempt = request.headers["x-llamaduo-replicate"].partition(".")
    question = request.body["messages"][0]["content"]
    choices = []
    for number in range(samples or request.body.get("n", 1)):
        name = f"{int(first) + number}.{attempt}"
        text = "broken" if name in broken else f"{question} {name}"
        message = {"role": "assistant", "content": text, "refusal": None}
        choices.append({"index": number, "finish_reason": "stop", "message": message})
    usage = {"prompt_tokens": 7, "completion_tokens": 3 * len(choices), "total_tokens": 7 + 3 * len(choices)}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": choices, "usage": usage}
    return Reaction(body=body)


def service_at(server: VendorServer, **settings: object) -> ServiceSettings:
    described = {"provider": "openai", "model": "m", "simulated": True, "base_url": server.address, **settings}
    return ServiceSettings.model_validate(described)


def question(text: str, replicate: int = 0, max_tokens: int = 100) -> Request:
    return Request((Message(role="user", content=text),), None, Generation(max_tokens=max_tokens), replicate)


def whole(answer: Answer) -> str:
    if answer.text == "broken":
        raise Unacceptable("broken")
    return answer.text


def ask(server: VendorServer, tmp_path: Path, requests: list[Request], **settings: object) -> list[Outcome[str]]:
    budget = settings.pop("budget", None)
    service = service_at(server, **settings)
    return ask_all("s", service, requests, whole, tmp_path / "journal.jsonl", "asking", budget=budget)  # type: ignore[arg-type]


def lines(tmp_path: Path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]


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
    keys = {identity.key(service_at(server), request, 0) for request in requests}
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
        service_at(server, samples_per_call=4),
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
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(handle), sync(handle)))

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

    service = service_at(server, concurrency=4)
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
    from llamaduo.canonical import canonical

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


# Limits and outages


def test_calls_that_come_too_soon_are_sent_again_as_long_as_others_are_answered(
    server: VendorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry, "FIRST_WAIT_SECONDS", 0.01)

    def react(request: Received, number: int) -> Reaction:
        return completion(request) if number % 3 == 2 else Reaction(status=429, text="too many")

    server.react = react

    outcomes = ask(server, tmp_path, [question(f"q{number}") for number in range(60)], concurrency=12, retries=3)

    assert all(outcome.value for outcome in outcomes)
    assert len(lines(tmp_path)) == 60


def test_an_outage_is_waited_for_with_one_request_at_a_time(
    server: VendorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "FIRST_PAUSE_SECONDS", 0.1)
    down = range(20, 20 + breaker.FAILURES_IN_A_ROW + 2)
    server.react = lambda request, number: Reaction(status=503, text="down") if number in down else completion(request)

    outcomes = ask(server, tmp_path, [question(f"q{number}") for number in range(100)], concurrency=16, retries=6)

    assert all(outcome.value for outcome in outcomes)
    assert len(lines(tmp_path)) == 100


def test_a_service_that_stays_down_is_said_to_be_and_nothing_is_lost(
    server: VendorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "FIRST_PAUSE_SECONDS", 0.05)
    server.react = lambda request, number: completion(request) if number < 30 else Reaction(status=500, text="on fire")
    requests = [question(f"q{number}") for number in range(200)]

    with pytest.raises(ServiceError, match=r"service s .*is down: none of the last .*on fire.*goes on") as raised:
        ask(server, tmp_path, requests, concurrency=16, retries=3)

    assert "\n" not in str(raised.value)
    assert len(lines(tmp_path)) == 30
    assert len(server.received) <= 30 + 2 * 16 + 3

    server.react = lambda request, number: completion(request)
    assert [outcome.value for outcome in ask(server, tmp_path, requests)] == [f"q{number} 0.0" for number in range(200)]
    assert len(lines(tmp_path)) == 200


def test_the_servers_headers_set_the_pace_where_the_settings_do_not(server: VendorServer, tmp_path: Path) -> None:
    def react(request: Received, number: int) -> Reaction:
        reaction = completion(request)
        reaction.headers = {"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "500"}
        return reaction

    server.react = react
    start = time.monotonic()

    ask(server, tmp_path, [question(f"q{number}") for number in range(8)], concurrency=1)

    assert time.monotonic() - start >= 0.6


# Money


class Purse:
    """A budget in memory."""

    def __init__(self, dollars: float) -> None:
        self.left = dollars
        self.spent = self.lost = 0.0
        self.reserved = 0

    def reserve(self, dollars: float) -> None:
        if dollars > self.left:
            raise BudgetReached(f"only ${self.left:.6f} are left")
        self.left -= dollars
        self.reserved += 1

    def settle(self, reserved: float, spent: float, lost: float = 0.0) -> None:
        self.left += reserved - spent - lost
        self.lost += lost
        self.spent += spent
        self.reserved -= 1


DOLLARS_PER_CALL = (7 * 1.0 + 3 * 2.0) / 1e6


def test_every_answer_tells_what_it_cost(server: VendorServer, tmp_path: Path) -> None:
    purse = Purse(1.0)

    outcomes = ask(server, tmp_path, [question("a"), question("b")], price=PRICE, budget=purse)

    assert [answer.dollars for outcome in outcomes for answer in outcome.answers] == [DOLLARS_PER_CALL] * 2
    assert [line["answer"]["dollars"] for line in lines(tmp_path)] == [DOLLARS_PER_CALL] * 2
    assert purse.spent == pytest.approx(2 * DOLLARS_PER_CALL)
    assert purse.reserved == 0


def test_the_budget_is_never_exceeded_and_all_of_it_that_serves_is_used(server: VendorServer, tmp_path: Path) -> None:
    """A call may cost far more than it does: near the end fewer are in flight, until not even one would fit."""
    most = (len("q00") + 16 + 100 * 2.0) / 1e6
    purse = Purse(most + 20 * DOLLARS_PER_CALL)
    requests = [question(f"q{number:02}") for number in range(60)]

    with pytest.raises(InputError, match=r"service s .*only \$0\.000\d+ are left"):
        ask(server, tmp_path, requests, price=PRICE, budget=purse, concurrency=8)

    assert 20 <= len(lines(tmp_path)) <= 22
    assert purse.spent == pytest.approx(len(lines(tmp_path)) * DOLLARS_PER_CALL)
    assert purse.left >= 0
    assert purse.reserved == 0

    outcomes = ask(server, tmp_path, requests, price=PRICE, budget=Purse(1.0))
    assert all(outcome.value for outcome in outcomes)
    assert Counter(call.body["messages"][0]["content"] for call in server.received).most_common(1)[0][1] == 1


def test_answers_reach_the_journal_although_they_cannot_be_booked(server: VendorServer, tmp_path: Path) -> None:
    class Torn(Purse):
        def settle(self, reserved: float, spent: float, lost: float = 0.0) -> None:
            raise InputError("the budget's claims cannot be written")

    with pytest.raises(InputError, match="claims cannot be written"):
        ask(server, tmp_path, [question(f"q{number}") for number in range(20)], budget=Torn(1.0), concurrency=4)

    assert len(lines(tmp_path)) == server.answered
    assert 1 <= server.answered < 20

    with pytest.raises(InputError, match="claims cannot be written"):
        ask(server, tmp_path, [question("the last")], budget=Torn(1.0))
    assert len(lines(tmp_path)) == server.answered


def test_failed_tries_cost_nothing(server: VendorServer, tmp_path: Path) -> None:
    purse = Purse(1.0)
    server.react = lambda request, number: Reaction(status=500) if number < 2 else completion(request)

    ask(server, tmp_path, [question("a")], price=PRICE, budget=purse)

    assert purse.spent == pytest.approx(DOLLARS_PER_CALL)
    assert (purse.lost, purse.reserved) == (0, 0)


def test_answers_that_are_lost_on_the_way_may_have_been_charged(server: VendorServer, tmp_path: Path) -> None:
    purse = Purse(1.0)
    server.react = lambda request, number: Reaction(cut="length") if number < 2 else completion(request)

    ask(server, tmp_path, [question("a")], price=PRICE, budget=purse)

    assert purse.spent == pytest.approx(DOLLARS_PER_CALL)
    assert purse.lost == pytest.approx(2 * (len("a") + 16 + 100 * 2.0) / 1e6)
    assert purse.reserved == 0


# Being told to end

CLIENT = """
import sys
from pathlib import Path
from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.program import run
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
