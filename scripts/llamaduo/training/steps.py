"""Which examples make up an optimiser step, and how they are shared out over processes and forward passes.

A step is a set of examples that follows from the seed, the epoch and the number of examples alone. Into how many
passes it is divided, on how many processes, changes the order of a sum and nothing else.
"""

from collections.abc import Sequence

import numpy as np


def steps_per_epoch(examples: int, per_step: int) -> int:
    """Optimiser steps in one pass over the training data; the last one may be of fewer examples."""
    return -(-examples // per_step)


def steps_of_epoch(examples: int, per_step: int, seed: int, epoch: int) -> list[list[int]]:
    """The numbers of the examples of each step of an epoch, numbered from 0; every example occurs once."""
    order = np.random.default_rng([seed, epoch]).permutation(examples).tolist()
    return [order[start : start + per_step] for start in range(0, examples, per_step)]


def shares(lengths: Sequence[int], processes: int) -> list[list[int]]:
    """Positions in `lengths` for each process, so that all have about as many tokens (longest first, Graham 1969).

    With fewer examples than processes some shares are empty.
    """
    found: list[list[int]] = [[] for _ in range(processes)]
    tokens = [0] * processes
    for position in sorted(range(len(lengths)), key=lambda position: (-lengths[position], position)):
        lightest = min(range(processes), key=lambda process: (tokens[process], process))
        found[lightest].append(position)
        tokens[lightest] += lengths[position]
    return [sorted(share) for share in found]


def passes(lengths: Sequence[int], budget: int, padded: bool) -> list[list[int]]:
    """Positions in `lengths` for each forward pass, of at most `budget` tokens or one example.

    Packed: first fit, longest first, which leaves few passes half empty. Padded: neighbours by length, and padding
    counts.
    """
    longest_first = sorted(range(len(lengths)), key=lambda position: (-lengths[position], position))
    found: list[list[int]] = []
    for position in longest_first:
        for group in found[-1:] if padded else found:
            size = lengths[group[0]] * (len(group) + 1) if padded else sum(lengths[one] for one in [*group, position])
            if size <= budget:
                group.append(position)
                break
        else:
            found.append([position])
    return found
