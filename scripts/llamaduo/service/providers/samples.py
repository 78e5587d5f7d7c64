"""The samples that one call came back with, and how the call's tokens are divided among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from llamaduo.service.interface import Answer, StopReason
from llamaduo.service.providers.transport import now
from llamaduo.storage.text import storable


@dataclass(frozen=True)
class Sample:
    """One sample of a call. `detail`: the vendor's word on the stop. `tokens`: how many it has, if the vendor says."""

    text: str
    stop_reason: StopReason
    detail: str
    tokens: int | None = None


@dataclass(frozen=True)
class Usage:
    """What the vendor charges for a call. `prompt_tokens` include those read from its cache and written to it."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0


def as_answers(samples: Sequence[Sample], usage: Usage, most: int) -> list[Answer]:
    """The answers of one call, at most `most`, whose tokens sum up to what was charged.

    The first answer bears the prompt. The completion's tokens are divided by the vendor's own count per sample, or by
    the texts' lengths where there is none; a sample beyond `most` was paid for as well, so the others bear it.
    """
    kept = samples[:most]
    counts = [sample.tokens for sample in kept]
    sizes = [len(sample.text) if None in counts else count or 0 for sample, count in zip(kept, counts, strict=True)]
    date = now()
    return [
        Answer(
            storable(sample.text),
            sample.stop_reason,
            0 if number else usage.prompt_tokens,
            tokens,
            date,
            storable(sample.detail),
            0 if number else usage.cached_tokens,
            0 if number else usage.cache_write_tokens,
        )
        for number, (sample, tokens) in enumerate(zip(kept, divided(usage.completion_tokens, sizes), strict=True))
    ]


def divided(total: int, sizes: Sequence[int]) -> list[int]:
    """`total` in whole parts in proportion to `sizes`, evenly where all are 0; the parts sum up to `total`."""
    weights = sizes if any(sizes) else [1] * len(sizes)
    # Each part is the difference of two rounded running sums, so no rounding is lost.
    bounds = [0]
    running, whole = 0, sum(weights)
    for weight in weights:
        running += weight
        bounds.append(total * running // whole)
    return [upper - lower for lower, upper in pairwise(bounds)]
