"""What is asked of a service LLM and what comes back, the same for every provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from llamaduo.config.services import Generation
from llamaduo.models.messages import Message

T = TypeVar("T")

StopReason = Literal["stop", "length", "filtered", "refusal", "other"]
"""Why an answer ended: on its own, cut off, by the vendor's filter, by the model's refusal, or otherwise."""


@dataclass(frozen=True)
class Request:
    """One question: the turns, the JSON schema of the answer if it is to be JSON, and how to sample.

    `replicate` numbers the requests that ask the same several times over and want an answer of its own each.
    `repeated`: whether others ask the same as soon as this one is answered, so that a vendor's cache of prompts pays.
    """

    messages: tuple[Message, ...]
    json_schema: dict[str, Any] | None
    generation: Generation
    replicate: int = 0
    repeated: bool = False


@dataclass(frozen=True)
class Answer:
    """One answer as it was paid for.

    `date`: UTC, ISO 8601 to the second. `detail`: the vendor's word on the stop. Of a call that asked for several
    samples each answer holds its share of the call's tokens, so that their sums are what the vendor charged: the
    prompt's with the first answer, the others 0. `cached_tokens` and `cache_write_tokens` are those of the
    `prompt_tokens` that the vendor read from its cache or wrote to it. `batch`: whether it came through the vendor's
    batch API. `dollars`: what it cost by the service's price; None without one. `thinking_tokens`: those of the
    `completion_tokens` that were thoughts. `model` and `build`: which model answered, in the server's words (OpenAI's
    system_fingerprint is a build); empty if unknown. `limit`: the output tokens that the call allowed, thoughts
    included; None in journals that do not tell it.
    """

    text: str
    stop_reason: StopReason
    prompt_tokens: int
    completion_tokens: int
    date: str
    detail: str = ""
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    batch: bool = False
    dollars: float | None = None
    thinking_tokens: int = 0
    model: str = ""
    build: str = ""
    limit: int | None = None

    @property
    def not_begun(self) -> bool:
        """Whether the vendor did not let the model begin, because the prompt is too long or was filtered."""
        return self.stop_reason in ("length", "filtered") and not self.text and not self.completion_tokens


class Unacceptable(Exception):  # noqa: N818
    """Raised by the reader of an answer that has not the form asked for: ask again."""


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of a request: the value read from its last answer, or, with `value` None, the problem.

    `answers` holds every answer that was paid for, in the order of asking.
    """

    value: T | None
    answers: tuple[Answer, ...]
    problem: str | None


class Transient(Exception):  # noqa: N818
    """A request failed in a way that may pass. `retry_after`: seconds that the server asks to wait, if it does.

    `is_limit`: whether there was nothing wrong but that it was one too many. `may_be_charged`: whether the service may
    have answered, and the answer was lost or could not be read.
    """

    def __init__(
        self,
        message: str,
        retry_after: float | None = None,
        is_limit: bool = False,
        may_be_charged: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry_after, self.is_limit, self.may_be_charged = retry_after, is_limit, may_be_charged


class Rejected(Exception):  # noqa: N818
    """The service will not take this or any like request: wrong key, unknown model, bad settings, no credit left."""


class BudgetReached(Exception):  # noqa: N818
    """The next call could cost more than the budget has left; nothing was sent."""


class Budget(Protocol):
    """What may still be spent, over all steps of the workflow."""

    def reserve(self, dollars: float) -> None:
        """Set aside what a call may cost at most, before it is sent. Raises `BudgetReached`."""
        ...

    def settle(self, reserved: float, spent: float, lost: float = 0.0) -> None:
        """Give back what was reserved for a call, and book what it did cost; 0 when it was not answered.

        `lost`: what may have been charged for it although no answer came; it stays booked.
        """
        ...


class Provider(Protocol):
    """One vendor's SDK behind the same two calls."""

    async def ask(self, request: Request, headers: Mapping[str, str], samples: int = 1) -> list[Answer]:
        """Send `request` once, asking for so many `samples` of its answer, and return those that came, in order.

        They are between one and `samples`; a single one that is `not_begun` stands for all. Raises `Transient` or
        `Rejected`, and nothing else for a service's misbehaviour.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
