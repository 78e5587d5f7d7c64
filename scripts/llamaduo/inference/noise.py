"""Randomness as a pure function: of a sample's seed, the position in its response and the token, and nothing else.

A generator with a state would tie a draw to how many draws came before it, and so to the batch. Here the noise of a
token is the token's number in a SplitMix64 sequence (Steele, Lea and Flood, 2014, "Fast splittable pseudorandom
number generators") that starts at a hash of (seed, position). It is integer arithmetic that wraps at 64 bits: the
same bits on any device and in any batch.
"""

import hashlib

import torch

GOLDEN = 0x9E3779B97F4A7C15
FIRST_MULTIPLIER = 0xBF58476D1CE4E5B9
SECOND_MULTIPLIER = 0x94D049BB133111EB
SIXTY_FOUR_BITS = (1 << 64) - 1
UNIFORM_BITS = 52  # with the half that is added, the 53 that a float64 holds exactly: never 0, never 1


def sequence_start(seed: int, position: int) -> int:
    """Where the sequence of a sample's position starts, 0 to 2^64 - 1; seed is of 64 bits, position counts from 0."""
    words = seed.to_bytes(8, "little") + position.to_bytes(8, "little")
    return int.from_bytes(hashlib.sha256(words).digest()[:8], "little")


def uniform(starts: list[int], tokens: torch.Tensor) -> torch.Tensor:
    """One number in (0, 1) per row's start and token.

    starts: one per row; tokens: [rows or 1, candidates] int64 token ids. Gives [rows, candidates] float64.
    """
    first = torch.tensor([_signed(start) for start in starts], dtype=torch.int64, device=tokens.device)
    bits = (tokens + 1) * _signed(GOLDEN) + first[:, None]
    bits.bitwise_xor_(_shifted(bits, 30)).mul_(_signed(FIRST_MULTIPLIER))
    bits.bitwise_xor_(_shifted(bits, 27)).mul_(_signed(SECOND_MULTIPLIER))
    bits.bitwise_xor_(_shifted(bits, 31))
    return _shifted(bits, 64 - UNIFORM_BITS).to(torch.float64).add_(0.5).mul_(2.0**-UNIFORM_BITS)


def gumbel(starts: list[int], tokens: torch.Tensor) -> torch.Tensor:
    """Standard Gumbel noise for the same arguments: the token with the largest logit + noise is a draw from softmax.

    By `log1p` of a number near 0, where floats are dense: the large values, which decide the draw, are exact. In place,
    since vocabularies are large.
    """
    return uniform(starts, tokens).neg_().log1p_().neg_().log_().neg_()


def _signed(word: int) -> int:
    """The same 64 bits as torch's int64 has them."""
    word &= SIXTY_FOUR_BITS
    return word - (1 << 64) if word >> 63 else word


def _shifted(bits: torch.Tensor, by: int) -> torch.Tensor:
    """A shift to the right that fills with zeros; torch's own fills with the sign."""
    return (bits >> by).bitwise_and_((1 << (64 - by)) - 1)
