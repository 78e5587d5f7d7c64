"""What an inference engine is given and gives back: the boundary that any further engine implements."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class Query:
    """One sample to be computed.

    prompt: the rendered conversation as token ids, BOS and the opening of the response included.
    seed: 64 bits that all randomness of this sample comes from, so that it is the same in any batch.
    limit: new tokens at most, 1 or more; the end-of-turn token counts.
    """

    prompt: tuple[int, ...]
    seed: int
    limit: int


@dataclass(frozen=True)
class Generated:
    """The computed sample of the query at `index`.

    tokens: the new token ids without the end-of-turn token; finish_reason: "stop" when that token came, "length"
    when the limit was reached without it.
    """

    index: int
    tokens: tuple[int, ...]
    finish_reason: FinishReason


class Engine(Protocol):
    """Computes samples; how they are batched, ordered and spread over devices is its own affair.

    Each engine is a module with a function `load` that builds it from the model, the adapter, `InferenceSettings` and
    the ids that end a turn; `respond.load_engine` names it.

    positions: tokens that a prompt and its response may have together; None when the model sets no limit.
    """

    positions: int | None

    def generate(self, queries: Sequence[Query]) -> Iterator[list[Generated]]:
        """Each query's sample exactly once, in any order, in groups as they are finished.

        What was yielded is made durable by the caller before it asks for more, so a group is what a kill may lose.
        Queries with equal prompts stand side by side.
        """
        ...
