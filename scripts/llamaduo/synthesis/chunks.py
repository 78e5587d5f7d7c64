"""How many chunks of calls a volume needs: as few as the measured yield allows.

The yield is the share of the pairs asked for that curation accepts; it is not known before, and falls as the pool
grows, because new pairs repeat old ones. So chunks are added in rounds, each sized by what the rounds before it gave.
Chunks grow in proportion to the calls before them: few jobs for a large pool, little waste for a small one.
"""

import math
from collections.abc import Sequence

from llamaduo.config.synthesis import SynthesisSettings

MOST_OVERSHOOT = 0.15
"""Share of the need that may be paid for beyond it, the size of the last chunk included."""


def chunk_calls(index: int, settings: SynthesisSettings) -> range:
    """The numbers of the calls that chunk `index` (from 0) makes."""
    start = calls_before(index, settings)
    return range(start, start + _size(start, settings))


def calls_before(chunks: int, settings: SynthesisSettings) -> int:
    """How many calls the first `chunks` chunks make."""
    calls = 0
    for _ in range(chunks):
        calls += _size(calls, settings)
    return calls


def capacity(chunks: int, settings: SynthesisSettings) -> int:
    """How many pairs the first `chunks` chunks ask for."""
    return calls_before(chunks, settings) * settings.pairs_per_call


def first_chunks(volume: int, settings: SynthesisSettings) -> int:
    """The chunks of the first round: enough if every pair is accepted."""
    return _chunks_for(volume, settings)


def most_chunks(volume: int, settings: SynthesisSettings) -> int:
    """The chunks after which a volume is given up: enough at the minimum yield."""
    return _chunks_for(volume / settings.minimum_yield, settings)


def next_chunks(volume: int, history: Sequence[tuple[int, int]], settings: SynthesisSettings) -> int | None:
    """The chunks of the next round, or None when the volume is reached or the bound of `most_chunks` is.

    `history` holds one (chunks, accepted pairs) per round so far, ascending. The next round is sized by the yield of
    the last one, which is the best guess, but never so large that the volume would be overshot by more than the
    allowance if the yield came back to its average: a burst of refusals must not be paid for twice.
    """
    if not history:
        return first_chunks(volume, settings)
    chunks, accepted = history[-1]
    most = most_chunks(volume, settings)
    if accepted >= volume or chunks >= most:
        return None
    asked = capacity(chunks, settings)
    before, accepted_before = history[-2] if len(history) > 1 else (0, 0)
    latest = (accepted - accepted_before) / (asked - capacity(before, settings))
    highest = max(latest, accepted / asked, settings.minimum_yield)
    need = volume - accepted
    # What the last chunk's size may add comes on top, so it is taken out of the allowance first.
    allowance = max(0.0, (1 + MOST_OVERSHOOT) / (1 + settings.chunk_growth) - 1)
    further = min(need / latest if latest > 0 else math.inf, (need + allowance * volume) / highest)
    return min(most, max(chunks + 1, _chunks_for(asked + further, settings)))


def _size(calls_so_far: int, settings: SynthesisSettings) -> int:
    return max(settings.chunk_calls, math.floor(settings.chunk_growth * calls_so_far))


def _chunks_for(pairs: float, settings: SynthesisSettings) -> int:
    """The fewest chunks that ask for at least `pairs` pairs."""
    chunks = calls = 0
    while calls * settings.pairs_per_call < pairs:
        calls += _size(calls, settings)
        chunks += 1
    return chunks
