"""Limits, outages and refusals: what is sent again and when, and what ends a step without losing an answer."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import answering_server, ask, completion, echo, lines, question
from vendor_server import Reaction, Received, VendorServer

from llamaduo.cli.errors import InputError, ServiceError
from llamaduo.service.pacing import breaker, retry


@pytest.fixture
def server() -> Iterator[VendorServer]:
    with answering_server() as running:
        yield running


# Limits


def test_no_more_are_in_flight_than_allowed(server: VendorServer, tmp_path: Path) -> None:
    server.react = lambda request, number: Reaction(delay=0.05)

    ask(server, tmp_path, [question(f"q{i}") for i in range(12)], concurrency=3)

    assert server.most_in_flight == 3


def test_no_more_are_sent_per_minute_than_allowed(server: VendorServer, tmp_path: Path) -> None:
    start = time.monotonic()

    ask(server, tmp_path, [question(f"q{i}") for i in range(11)], requests_per_minute=600)

    assert time.monotonic() - start >= 10 * 60 / 600


def test_the_servers_headers_set_the_pace_where_the_settings_do_not(server: VendorServer, tmp_path: Path) -> None:
    def react(request: Received, number: int) -> Reaction:
        reaction = completion(request)
        reaction.headers = {"x-ratelimit-limit-requests": "600", "x-ratelimit-remaining-requests": "500"}
        return reaction

    server.react = react
    start = time.monotonic()

    ask(server, tmp_path, [question(f"q{number}") for number in range(8)], concurrency=1)

    assert time.monotonic() - start >= 0.6


# What may pass, and what will not


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Reaction(status=429, headers={"Retry-After": "0.01"}), id="rate limit"),
        pytest.param(Reaction(status=500), id="server error"),
        pytest.param(Reaction(cut="length"), id="dropped"),
        pytest.param(Reaction(cut="end"), id="dropped, unknown length"),
        pytest.param(Reaction(delay=3.0), id="timeout"),
    ],
)
def test_what_may_pass_is_sent_again(fault: Reaction, server: VendorServer, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    def react(request: Received, number: int) -> Reaction:
        text = echo(request)
        seen[text] += 1
        return fault if seen[text] == 1 else Reaction(text=text)

    server.react = react

    outcomes = ask(server, tmp_path, [question("a"), question("b")], timeout_seconds=1.5)

    assert [outcome.value for outcome in outcomes] == ["a 0.0", "b 0.0"]
    assert [len(outcome.answers) for outcome in outcomes] == [1, 1]
    assert len(lines(tmp_path)) == 2
    assert set(seen.values()) == {2}


def test_retry_after_is_honoured_by_every_request(server: VendorServer, tmp_path: Path) -> None:
    times: list[float] = []

    def react(request: Received, number: int) -> Reaction:
        times.append(time.monotonic())
        return Reaction(status=429, headers={"Retry-After": "1"}) if number == 0 else Reaction(text="ok")

    server.react = react

    ask(server, tmp_path, [question("a"), question("b"), question("c")], concurrency=1)

    assert times[1] - times[0] >= 1
    assert len(times) == 4


def test_a_wait_longer_than_a_program_should_hold_its_place_ends_it(server: VendorServer, tmp_path: Path) -> None:
    server.react = lambda request, number: Reaction(status=429, text="tomorrow", headers={"Retry-After": "86400"})

    with pytest.raises(ServiceError, match="tomorrow"):
        ask(server, tmp_path, [question("a")])

    assert len(server.received) == 1


def test_a_lasting_outage_ends_in_one_line_and_keeps_what_was_answered(server: VendorServer, tmp_path: Path) -> None:
    def react(request: Received, number: int) -> Reaction:
        return Reaction(text=echo(request)) if number < 3 else Reaction(status=503, text="down")

    server.react = react
    requests = [question(f"q{i}") for i in range(10)]

    with pytest.raises(ServiceError, match=r"service s .*down.*retries: 1") as raised:
        ask(server, tmp_path, requests, concurrency=1, retries=1)
    assert "\n" not in str(raised.value)
    assert len(lines(tmp_path)) == 3
    assert len(server.received) == 5

    server.react = lambda request, number: Reaction(text=echo(request))
    outcomes = ask(server, tmp_path, requests)

    assert [outcome.value for outcome in outcomes] == [f"q{i} 0.0" for i in range(10)]
    assert len(server.received) == 12


@pytest.mark.parametrize(("status", "words"), [(401, "API key"), (404, "model 'm'"), (400, "temperature is bad")])
def test_what_cannot_get_better_ends_at_once_but_keeps_the_calls_in_flight(
    status: int, words: str, server: VendorServer, tmp_path: Path
) -> None:
    def react(request: Received, number: int) -> Reaction:
        if echo(request).startswith("bad"):
            return Reaction(status=status, text="temperature is bad", delay=0.2)
        return Reaction(text=echo(request), delay=0.6)

    server.react = react
    requests = [question("bad"), *(question(f"q{i}") for i in range(20))]

    with pytest.raises(InputError, match=words):
        ask(server, tmp_path, requests, concurrency=4)

    assert len(server.received) == 4
    assert len(lines(tmp_path)) == 3  # paid for, so awaited


# Outages


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
