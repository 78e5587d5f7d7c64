"""How many chunks a volume needs follows the measured yield."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from llamaduo.config.synthesis import SynthesisSettings
from llamaduo.synthesis.chunks import (
    MOST_OVERSHOOT,
    calls_before,
    capacity,
    chunk_calls,
    first_chunks,
    most_chunks,
    next_chunks,
)

SETTINGS = SynthesisSettings(chunk_calls=10)
Accepted = Callable[[int], int]
"""How many of the first so many pairs asked for are accepted."""


def constant(share: float) -> Accepted:
    return lambda asked: math.floor(share * asked)


def falling(start: float, half: float) -> Accepted:
    """A yield that begins at `start` and has fallen to half of it after `half` pairs."""
    return lambda asked: math.floor(start * half * math.log1p(asked / half))


def rounds(volume: int, accepted: Accepted, settings: SynthesisSettings = SETTINGS) -> list[tuple[int, int]]:
    """What the loop over rounds goes through: (chunks, accepted) of each."""
    history: list[tuple[int, int]] = []
    while (chunks := next_chunks(volume, history, settings)) is not None:
        assert len(history) < 100, "the rounds do not end"
        history.append((chunks, accepted(capacity(chunks, settings))))
    return history


def needed(volume: int, accepted: Accepted) -> int:
    """The fewest pairs that must be asked for to have `volume` accepted."""
    few, many = 0, 1
    while accepted(many) < volume:
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (few, middle) if accepted(middle) >= volume else (middle, many)
    return many


def test_chunks_are_consecutive_calls_and_grow_in_proportion_to_the_calls_before() -> None:
    chunks = [chunk_calls(index, SETTINGS) for index in range(60)]

    assert chunks[0] == range(10)
    assert all(earlier.stop == later.start for earlier, later in pairwise(chunks))
    assert all(earlier.stop == calls_before(index + 1, SETTINGS) for index, earlier in enumerate(chunks))
    assert all(len(chunk) == max(10, math.floor(0.1 * chunk.start)) for chunk in chunks)
    assert len(chunks[-1]) > 100


def test_the_first_round_assumes_that_every_pair_is_accepted() -> None:
    assert first_chunks(0, SETTINGS) == 0
    assert first_chunks(1, SETTINGS) == 1
    assert first_chunks(1000, SETTINGS) == 10
    assert capacity(first_chunks(256_000, SETTINGS), SETTINGS) >= 256_000
    assert next_chunks(1000, [], SETTINGS) == 10


def test_a_volume_of_the_paper_takes_few_jobs_and_few_rounds() -> None:
    history = rounds(256_000, constant(0.6))

    assert history[-1][0] < 100
    assert len(history) <= 3


YIELDS = {
    "all accepted": constant(1.0),
    "the paper's best": constant(0.85),
    "the paper's worst": constant(0.43),
    "just above the bound": constant(0.26),
    "falling slowly": falling(0.9, 500_000),
    "falling": falling(0.8, 20_000),
    "falling fast": falling(0.9, 3_000),
}


@pytest.mark.parametrize("volume", [1, 7, 100, 1000, 5000])
@pytest.mark.parametrize("accepted", YIELDS.values(), ids=YIELDS)
def test_the_volume_is_reached_and_little_is_paid_for_beyond_the_need(volume: int, accepted: Accepted) -> None:
    history = rounds(volume, accepted)

    chunks, held = history[-1]
    assert held >= volume
    least_chunk = SETTINGS.chunk_calls * SETTINGS.pairs_per_call
    assert capacity(chunks, SETTINGS) <= (1 + MOST_OVERSHOOT) * needed(volume, accepted) + least_chunk
    assert len(history) <= 8


def test_at_large_volumes_the_overshoot_stays_within_its_bound_whatever_the_chunks_size() -> None:
    for growth in (0.0, 0.05, 0.1, 0.15):
        settings = SynthesisSettings(chunk_growth=growth, minimum_yield=0.05)
        for accepted in YIELDS.values():
            for volume in (3_000, 20_000):
                chunks, held = rounds(volume, accepted, settings)[-1]
                if held >= volume:
                    assert capacity(chunks, settings) <= (1 + MOST_OVERSHOOT) * needed(volume, accepted) + 100


def test_a_volume_out_of_reach_is_given_up_at_the_bound() -> None:
    history = rounds(1000, constant(0.1))

    chunks, held = history[-1]
    assert held < 1000
    assert chunks == most_chunks(1000, SETTINGS)
    assert capacity(chunks, SETTINGS) >= 1000 / SETTINGS.minimum_yield
    assert capacity(chunks - 1, SETTINGS) < 1000 / SETTINGS.minimum_yield


def test_a_generator_that_gives_nothing_is_given_up_after_few_rounds() -> None:
    assert len(rounds(1000, constant(0.0))) <= 3


def test_a_burst_of_refusals_is_not_paid_for_twice() -> None:
    # given 600 of 1000 pairs accepted, and then a chunk that was refused as a whole
    one_more = first_chunks(1000, SETTINGS) + 1
    history = [(first_chunks(1000, SETTINGS), 600), (one_more, 600)]

    further = next_chunks(1000, history, SETTINGS)

    # then the next round is sized by the average so far, not by a yield of nothing
    assert further is not None
    more = capacity(further, SETTINGS) - capacity(one_more, SETTINGS)
    assert more * 600 / capacity(one_more, SETTINGS) <= 400 + MOST_OVERSHOOT * 1000 + 100


def test_nothing_more_is_asked_for_once_the_volume_is_reached() -> None:
    assert next_chunks(1000, [(10, 1000)], SETTINGS) is None
    assert next_chunks(1000, [(most_chunks(1000, SETTINGS), 3)], SETTINGS) is None


@limits(max_examples=200, deadline=None)
@given(
    volume=st.integers(1, 20_000),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=30),
    chunk=st.integers(1, 30),
    growth=st.floats(0, 0.15),
    least=st.floats(0.05, 1),
)
def test_any_yield_ends_reached_or_at_the_bound_with_more_chunks_each_round(
    volume: int, shares: list[float], chunk: int, growth: float, least: float
) -> None:
    settings = SynthesisSettings(chunk_calls=chunk, chunk_growth=growth, minimum_yield=least)
    step = 700

    def accepted(asked: int) -> int:
        whole, rest = divmod(asked, step)
        taken = [shares[index % len(shares)] for index in range(whole + 1)]
        return math.floor(sum(share * step for share in taken[:-1]) + taken[-1] * rest)

    history: list[tuple[int, int]] = []
    while (chunks := next_chunks(volume, history, settings)) is not None:
        assert chunks <= most_chunks(volume, settings)
        assert not history or chunks > history[-1][0]
        history.append((chunks, accepted(capacity(chunks, settings))))
    assert history[-1][1] >= volume or history[-1][0] == most_chunks(volume, settings)


@given(volume=st.integers(1, 100_000), more=st.integers(0, 1000), accepted=st.integers(0, 1000))
def test_more_is_never_asked_for_a_smaller_volume_or_for_more_accepted_pairs(
    volume: int, more: int, accepted: int
) -> None:
    assert first_chunks(volume, SETTINGS) <= first_chunks(volume + more, SETTINGS)
    assert most_chunks(volume, SETTINGS) <= most_chunks(volume + more, SETTINGS)
    fewer = next_chunks(2000, [(20, min(1999, accepted + more))], SETTINGS)
    further = next_chunks(2000, [(20, min(1999, accepted))], SETTINGS)
    assert fewer is not None
    assert further is not None
    assert fewer <= further
