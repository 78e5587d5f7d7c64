"""What is asked of a service LLM and what comes back, the same for every provider."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from llamaduo.config.services import Generation
from llamaduo.messages import Message

T = TypeVar("T")

StopReason = Literal["stop", "length", "filtered", "refusal", "other"]
"""Why an answer ended: on its own, cut off, by the vendor's filter, by the model's refusal, or otherwise."""


@dataclass(frozen=True)
class Request:
    """One question: the turns, the JSON schema of the answer if it is to be JSON, and how to sample.

    `replicate` numbers the requests that ask the same several times over and want an answer of its own each.
    """

    messages: tuple[Message, ...]
    json_schema: dict[str, Any] | None
    generation: Generation
    replicate: int = 0


@dataclass(frozen=True)
class Answer:
    """One answer as it was paid for. `date`: UTC, ISO 8601 to the second. `detail`: the vendor's word on the stop."""

    text: str
    stop_reason: StopReason
    prompt_tokens: int
    completion_tokens: int
    date: str
    detail: str = ""

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
    """A request failed in a way that may pass. `retry_after`: seconds that the server asks to wait, if it does."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Rejected(Exception):  # noqa: N818
    """The service will not take this or any like request: wrong key, unknown model, bad settings, no credit left."""


class Provider(Protocol):
    """One vendor's SDK behind the same two calls."""

    async def ask(self, request: Request, headers: Mapping[str, str]) -> Answer:
        """Send `request` once. Raises `Transient` or `Rejected`, and nothing else for a service's misbehaviour."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
