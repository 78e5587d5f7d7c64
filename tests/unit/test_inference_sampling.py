"""Drawing tokens: noise as a pure function, exact frequencies, top_k and top_p, rows that do not know each other."""

import pytest
import torch

from llamaduo.inference.noise import sequence_start, uniform
from llamaduo.inference.sampling import Sampling, draw

VOCABULARY = 50


def logits(rows: int, vocabulary: int = VOCABULARY) -> torch.Tensor:
    return torch.randn((rows, vocabulary), generator=torch.Generator().manual_seed(0)) * 3


def test_the_noise_is_the_published_splitmix64() -> None:
    # The first outputs for the seed 1234567, as the reference implementation prints them.
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    found = uniform([1234567], torch.arange(3)[None])[0].tolist()
    assert found == [((output >> 12) + 0.5) * 2.0**-52 for output in published]


def test_the_noise_lies_within_0_and_1_and_fills_it_evenly() -> None:
    found = uniform([sequence_start(7, position) for position in range(100)], torch.arange(1000)[None])
    assert found.min() > 0 and found.max() < 1
    shares = torch.histc(found, bins=10, min=0, max=1) / found.numel()
    assert torch.allclose(shares, torch.full_like(shares, 0.1), atol=0.005)


def test_another_seed_or_position_is_another_sequence() -> None:
    assert len({sequence_start(seed, position) for seed in range(20) for position in range(20)}) == 400


@pytest.mark.parametrize("temperature", [0.5, 0.8, 2.0])
def test_tokens_are_drawn_as_often_as_softmax_says(temperature: float) -> None:
    given, draws = logits(1, 6), 20_000
    found = draw(given.expand(draws, -1), list(range(draws)), [3] * draws, Sampling(temperature))
    shares = torch.bincount(found, minlength=6) / draws
    assert torch.allclose(shares.float(), (given[0] / temperature).softmax(-1), atol=0.015)


def test_the_positions_of_a_response_are_drawn_independently() -> None:
    given, draws = torch.zeros((1, 2)), 10_000
    found = draw(given.expand(draws, -1), [5] * draws, list(range(draws)), Sampling(1.0))
    pairs = torch.bincount(found[:-1] * 2 + found[1:], minlength=4) / (draws - 1)
    assert torch.allclose(pairs.float(), torch.full((4,), 0.25), atol=0.02)


@pytest.mark.parametrize("sampling", [Sampling(0.8), Sampling(0.8, top_k=5), Sampling(0.8, top_p=0.7), Sampling(0.0)])
def test_a_row_is_drawn_alone_as_among_others(sampling: Sampling) -> None:
    given = logits(16)
    seeds, positions = list(range(100, 116)), [row % 3 for row in range(16)]
    together = draw(given, seeds, positions, sampling).tolist()
    alone = [draw(given[[row]], [seeds[row]], [positions[row]], sampling).item() for row in range(16)]
    assert together == alone


def test_top_k_draws_among_the_k_likeliest() -> None:
    given = logits(1)
    found = draw(given.expand(2000, -1), list(range(2000)), [0] * 2000, Sampling(5.0, top_k=3))
    assert set(found.tolist()) == set(given[0].topk(3).indices.tolist())


def test_top_p_draws_among_the_fewest_tokens_that_reach_the_share() -> None:
    given = torch.tensor([[0.1, 0.5, 0.1, 0.3]]).log()
    seeds = list(range(2000))
    for share, kept in ((0.4, {1}), (0.5, {1}), (0.6, {1, 3}), (0.79, {1, 3}), (1.0, {0, 1, 2, 3})):
        found = draw(given.expand(2000, -1), seeds, [0] * 2000, Sampling(1.0, top_p=share))
        assert set(found.tolist()) == kept


def test_what_top_k_leaves_out_does_not_count_for_top_p() -> None:
    given = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    found = draw(given.expand(2000, -1), list(range(2000)), [0] * 2000, Sampling(1.0, top_k=2, top_p=0.5))
    assert set(found.tolist()) == {0}  # 0.4 of the 0.7 left


def test_temperature_0_takes_the_likeliest() -> None:
    assert draw(logits(4), [1, 2, 3, 4], [0] * 4, Sampling(0.0)).tolist() == logits(4).argmax(-1).tolist()
