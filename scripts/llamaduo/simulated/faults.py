"""What goes wrong on purpose, and when: decided by the request and the number of the try, not by the clock."""

import random
from typing import Literal

from llamaduo.config.simulation import Faults
from llamaduo.simulated.conversation import Conversation
from llamaduo.storage.canonical import digest

Fault = Literal[
    "rate_limit",
    "server_error",
    "dropped",
    "overloaded",
    "timeout",
    "broken_body",
    "malformed",
    "refusal",
    "truncated",
]

TRANSPORT: tuple[Fault, ...] = ("rate_limit", "server_error", "dropped", "overloaded", "timeout", "broken_body")
"""Faults after which a client sends the same request again."""
ANSWERS: tuple[Fault, ...] = ("malformed", "refusal", "truncated")
"""Faults that are answers, and paid for."""

MOST_IN_A_ROW = 3
"""After this many transport faults a request is answered, so that a client that retries gets through."""


def transport_fault(faults: Faults, key: str, number: int) -> Fault | None:
    """The fault of the `number`-th try (from 0) of the request `key`; None when the try is answered."""
    if number >= MOST_IN_A_ROW or not any(getattr(faults, kind) for kind in TRANSPORT):
        return None
    return _draw(faults, TRANSPORT, digest([key, "transport", number]))


def answer_fault(faults: Faults, asked: Conversation) -> Fault | None:
    """What is wrong with the answer to a request, however often it is tried; None for a good one."""
    if not any(getattr(faults, kind) for kind in ANSWERS):
        return None
    return _draw(faults, ANSWERS, digest([asked.key, "answer"]))


def break_json(text: str) -> str:
    """`text` without its end, as a model that lost the thread leaves it; never valid JSON."""
    return f"Here is the JSON:\n{text[: len(text) // 2]}"


def _draw(faults: Faults, kinds: tuple[Fault, ...], lot: str) -> Fault | None:
    point = random.Random(lot).random()  # noqa: S311
    for kind in kinds:
        rate = getattr(faults, kind)
        if point < rate:
            return kind
        point -= rate
    return None
