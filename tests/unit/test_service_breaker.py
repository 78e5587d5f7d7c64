"""The circuit breaker: when it opens, who tries the service, and when it gives up."""

import asyncio

import pytest

from llamaduo.service.pacing import breaker as module
from llamaduo.service.pacing.breaker import FAILURES_IN_A_ROW, Breaker, Down


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.02)


def opened(probes: int = 3) -> Breaker:
    breaker = Breaker(probes)
    for _ in range(FAILURES_IN_A_ROW):
        assert not breaker.is_open
        breaker.failed("send")
    assert breaker.is_open
    return breaker


async def test_failures_among_answers_are_no_outage() -> None:
    breaker = Breaker(3)
    for _ in range(5):
        for _ in range(FAILURES_IN_A_ROW - 1):
            breaker.failed("send")
        breaker.answered()

    assert await breaker.admission() == "send"


async def test_one_tries_and_the_others_wait_until_it_is_answered() -> None:
    breaker = opened()
    waiting = [asyncio.create_task(breaker.admission()) for _ in range(5)]
    await asyncio.sleep(0.1)
    assert [task.result() for task in waiting if task.done()] == ["probe"]

    breaker.answered()

    assert sorted(await asyncio.gather(*waiting)) == ["probe", "send", "send", "send", "send"]


async def test_pauses_double_and_then_the_service_is_given_up() -> None:
    breaker = opened(probes=3)
    pauses = []
    for _ in range(2):
        pauses.append(breaker.pause)
        assert await breaker.admission() == "probe"
        breaker.failed("probe")
    assert pauses == [0.02, 0.04]

    assert await breaker.admission() == "probe"
    with pytest.raises(Down):
        breaker.failed("probe")


async def test_late_failures_of_calls_sent_before_do_not_count_as_the_probes() -> None:
    breaker = opened(probes=1)

    for _ in range(20):
        breaker.failed("send")

    assert await breaker.admission() == "probe"


async def test_who_waits_when_all_is_stopped_is_turned_away() -> None:
    breaker = opened()
    waiting = asyncio.create_task(breaker.admission())
    await asyncio.sleep(0)

    breaker.stop()

    assert await waiting == "stopped"
