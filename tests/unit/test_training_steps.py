"""Optimiser steps: the same examples however they are shared out over processes and passes."""

import random

import pytest

from llamaduo.training.steps import passes, shares, steps_of_epoch, steps_per_epoch

CHANCE = random.Random(1)
LENGTHS = [CHANCE.randint(3, 400) for _ in range(40)]


def test_an_epoch_has_every_example_once_and_follows_from_its_seed_and_number() -> None:
    steps = steps_of_epoch(21, 8, seed=3, epoch=0)
    assert [len(step) for step in steps] == [8, 8, 5]
    assert len(steps) == steps_per_epoch(21, 8)
    assert sorted(number for step in steps for number in step) == list(range(21))
    assert steps == steps_of_epoch(21, 8, seed=3, epoch=0)
    assert steps != steps_of_epoch(21, 8, seed=3, epoch=1)
    assert steps != steps_of_epoch(21, 8, seed=4, epoch=0)


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_processes_share_out_every_example_of_a_step_evenly(processes: int) -> None:
    found = shares(LENGTHS, processes)
    assert sorted(position for share in found for position in share) == list(range(len(LENGTHS)))
    tokens = [sum(LENGTHS[position] for position in share) for share in found]
    assert max(tokens) - min(tokens) <= max(LENGTHS)


def test_a_step_smaller_than_the_processes_leaves_some_without_work() -> None:
    assert sorted(map(len, shares([5, 9], 3))) == [0, 1, 1]


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("budget", [1, 400, 1000, 100_000])
def test_passes_hold_every_example_once_and_keep_within_their_budget(budget: int, padded: bool) -> None:
    found = passes(LENGTHS, budget, padded)
    assert sorted(position for group in found for position in group) == list(range(len(LENGTHS)))
    for group in found:
        sizes = [LENGTHS[position] for position in group]
        size = max(sizes) * len(sizes) if padded else sum(sizes)
        assert size <= budget or len(group) == 1


def test_packing_takes_fewer_passes_than_padding() -> None:
    assert len(passes(LENGTHS, 500, padded=False)) < len(passes(LENGTHS, 500, padded=True))
