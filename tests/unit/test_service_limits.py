"""What a service's headers and its requests to wait do to the pace."""

import asyncio
from collections.abc import Mapping

import pytest

from llamaduo.service.pacing import rate_headers
from llamaduo.service.pacing.limits import Limits
from llamaduo.service.pacing.rate_headers import Told

OPENAI = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-limit-tokens": "30000",
    "x-ratelimit-remaining-tokens": "29000",
    "x-ratelimit-reset-tokens": "6m2.5s",
}
ANTHROPIC = {
    "date": "Mon, 02 Nov 2026 10:00:00 GMT",
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "0",
    "anthropic-ratelimit-requests-reset": "2026-11-02T10:00:30Z",
    "anthropic-ratelimit-output-tokens-limit": "8000",
    "anthropic-ratelimit-output-tokens-remaining": "7900",
    "anthropic-ratelimit-output-tokens-reset": "2026-11-02T10:00:01+00:00",
}


def test_openais_headers_are_read() -> None:
    assert rate_headers.read(OPENAI) == [Told("requests", 500, 499, 0.12), Told("tokens", 30000, 29000, 362.5)]


def test_anthropics_headers_are_read_by_the_servers_clock() -> None:
    assert rate_headers.read(ANTHROPIC) == [
        Told("requests", 50, 0, 30),
        Told("tokens", 8000, 7900, 1, whole=False),
    ]


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("1h2m3s", 3723), ("12", 12), ("1.5", 1.5), ("7d", 604800), ("soon", None)]
)
def test_durations_are_read_as_vendors_write_them(text: str, seconds: float | None) -> None:
    (told,) = rate_headers.read({"x-ratelimit-limit-requests": "9", "x-ratelimit-reset-requests": text})

    assert told.reset == seconds


@pytest.mark.parametrize("headers", [{}, {"content-type": "x"}, {"x-ratelimit-limit-requests": "many"}])
def test_headers_that_tell_nothing_do_nothing(headers: Mapping[str, str]) -> None:
    assert rate_headers.read(headers) == []


async def seconds_for(limits: Limits, turns: int, tokens: float = 1.0) -> float:
    """How long so many turns take by the loop's clock, at least, in the order of asking."""
    start = asyncio.get_running_loop().time()
    for _ in range(turns):
        assert await limits.turn(tokens) is not None
    return asyncio.get_running_loop().time() - start


def requests(limit: float, remaining: float | None = None, reset: str = "1s") -> dict[str, str]:
    left = {} if remaining is None else {"x-ratelimit-remaining-requests": str(remaining)}
    return {"x-ratelimit-limit-requests": str(limit), "x-ratelimit-reset-requests": reset, **left}


async def test_without_limits_nothing_waits() -> None:
    assert await seconds_for(Limits(None, None), 200, tokens=1e9) < 1


async def test_a_lower_limit_in_the_headers_takes_the_place_of_the_given_one() -> None:
    limits = Limits(60_000, None)
    limits.observe(requests(600))

    assert await seconds_for(limits, 4) >= 0.3


@pytest.mark.parametrize(
    "headers",
    [pytest.param(requests(1_000_000), id="higher"), pytest.param(requests(200, 199, "7m12s"), id="per day")],
)
async def test_a_higher_limit_and_one_per_day_do_not(headers: dict[str, str]) -> None:
    limits = Limits(600, None)
    limits.observe(headers)

    assert 0.3 <= await seconds_for(limits, 4) < 5


async def test_a_limit_once_told_stays_when_a_response_tells_nothing() -> None:
    limits = Limits(None, None)
    limits.observe(requests(600))
    limits.observe({"content-type": "text/html"})

    assert await seconds_for(limits, 4) >= 0.3


async def test_when_nothing_is_left_it_rests_until_there_is() -> None:
    limits = Limits(60_000, None)
    limits.observe(requests(60_000, 0, "300ms"))

    assert await seconds_for(limits, 1) >= 0.3


async def test_a_bucket_that_fills_up_steadily_is_not_waited_for_until_it_is_full() -> None:
    limits = Limits(600, None)
    limits.observe(requests(600, 0, "60s"))

    assert 0.1 <= await seconds_for(limits, 1) < 5


async def test_one_large_request_does_not_slow_all_later_ones() -> None:
    limits = Limits(None, None)
    large = await limits.turn(1000)
    assert large is not None
    limits.used(large, 0)
    await seconds_for(limits, 100, tokens=1)
    left = {"limit": "1000", "remaining": "500", "reset": "30s"}

    limits.observe({f"x-ratelimit-{name}-tokens": text for name, text in left.items()})

    assert await seconds_for(limits, 1, tokens=1) < 5


async def test_tokens_in_use_keep_the_next_request_back_until_they_are_given_back() -> None:
    limits = Limits(None, 1000)
    first = await limits.turn(900)
    assert first is not None
    second = asyncio.create_task(limits.turn(500))
    await asyncio.sleep(0.05)
    assert not second.done()

    limits.used(first, 0)

    assert await asyncio.wait_for(second, 5) is not None


async def test_who_waits_when_all_is_stopped_gets_no_turn() -> None:
    limits = Limits(1, None)
    await limits.turn(1)
    waiting = [asyncio.create_task(limits.turn(1)) for _ in range(3)]
    await asyncio.sleep(0.01)

    limits.stop()

    assert await asyncio.gather(*waiting) == [None, None, None]
