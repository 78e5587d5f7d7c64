"""The even pace, by a clock of the test's own: never above a limit as the server sees it, and hardly below."""

import random
from itertools import pairwise

import pytest

from llamaduo.service.pacing.pace import JITTER_SECONDS, MINUTE, Pace

WORK_SECONDS = 1e-4


def starts(pace: Pace, calls: int, now: float = 0.0, held_up: dict[int, float] | None = None) -> list[float]:
    """When a client starts its calls that always has one waiting; at some calls it is held up for some seconds."""
    times = []
    for number in range(calls):
        now += WORK_SECONDS + (held_up or {}).get(number, 0.0)
        while (wait := pace.wait(now)) > 0:
            now += wait
        pace.take(now)
        times.append(now)
    return times


def fullest_minute(times: list[float]) -> int:
    times = sorted(times)
    return max(sum(start <= time < start + MINUTE for time in times[place:]) for place, start in enumerate(times))


def used(times: list[float], per_minute: float) -> float:
    return (len(times) - 1) / (times[-1] - times[0]) * MINUTE / per_minute


@pytest.mark.parametrize("per_minute", [7, 60, 600])
def test_the_limit_is_never_exceeded_and_at_least_99_percent_of_it_are_used(per_minute: int) -> None:
    chance = random.Random(0)
    times = starts(Pace(per_minute), 3 * per_minute + 1)

    arrivals = [time + chance.uniform(0.0, JITTER_SECONDS) for time in times]

    assert fullest_minute(arrivals) <= per_minute
    assert used(times, per_minute) >= 0.99


def test_the_first_call_starts_at_once_and_the_others_in_even_steps() -> None:
    times = starts(Pace(600), 50, now=100.0)

    assert times[0] == pytest.approx(100.0, abs=0.001)
    steps = [later - earlier for earlier, later in pairwise(times)]
    assert steps == pytest.approx([0.1] * 49, abs=0.002)


def test_a_short_delay_is_caught_up_and_a_long_one_ends_in_no_burst() -> None:
    short = starts(Pace(600), 1800, held_up={300: 0.8, 900: 0.5})
    long = starts(Pace(600), 1800, held_up={300: 20.0})

    assert used(short, 600) >= 0.99
    assert fullest_minute(short) <= 600
    assert fullest_minute(long) <= 600
    assert sum(long[300] <= time < long[300] + 1 for time in long) <= 21, "a second's worth, and the second's own"


def test_less_than_one_per_minute_is_a_pace_too() -> None:
    assert starts(Pace(0.5), 3) == pytest.approx([0.0, 120.0, 240.0], rel=0.01, abs=0.01)


def test_a_limit_told_in_the_middle_counts_what_was_taken_before() -> None:
    pace = Pace(None)
    burst = starts(pace, 64)
    assert burst[-1] < 0.1, "without a limit nothing waits"

    pace.limit(100)
    times = burst + starts(pace, 300, now=burst[-1])

    assert fullest_minute(times) <= 100
    assert times[-1] <= 3.7 * MINUTE


def test_a_request_counts_from_when_it_was_really_sent() -> None:
    pace = Pace(60)
    first = pace.take(0.0)
    pace.sent(first, 5.0)
    for number in range(1, 60):
        pace.take(number * 1.0)

    assert 60.0 + pace.wait(60.0) >= 65.0


def test_tokens_that_were_reserved_and_not_used_are_given_back() -> None:
    pace = Pace(10_000)
    now = started = 0.0
    for _ in range(60):
        now += pace.wait(now, 1000)
        taken = pace.take(now, 1000)
        now += 0.5
        pace.correct(taken, 500)

    assert (60 * 500) / (now - started) * MINUTE == pytest.approx(10_000, rel=0.05)


def test_more_tokens_than_were_reserved_are_made_up_for() -> None:
    pace = Pace(1000)
    taken = pace.take(0.0, 100)
    pace.correct(taken, 600)

    assert pace.wait(0.0, 100) == pytest.approx(36, rel=0.01)


def test_after_a_rest_the_pace_goes_on_evenly() -> None:
    pace = Pace(600)
    pace.take(0.0)
    pace.hold(30.0)

    assert pace.wait(10.0) == pytest.approx(20.0)
    times = starts(pace, 20, now=31.0)
    assert times[-1] >= 31.9


def test_a_rest_is_not_shortened_by_what_is_given_back() -> None:
    pace = Pace(1000)
    taken = pace.take(0.0, 900)
    pace.hold(30.0)
    pace.correct(taken, 0)

    assert pace.wait(0.0, 10) == pytest.approx(30.0)


def test_a_rest_holds_without_a_limit_too() -> None:
    pace = Pace(None)
    pace.hold(30.0)

    assert pace.wait(10.0) == pytest.approx(20.0)
    assert pace.wait(30.0) == 0
