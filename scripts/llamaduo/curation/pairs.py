"""One pair to be curated, what a filter can say of it, and reading pairs from rows of either layout."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from numpy.typing import NDArray

from llamaduo.curation.text import normalise, words

STOP_REASONS = ("stop_reason", "finish_reason")
IDENTIFIERS = ("prompt_ids", "prompt_id", "id")


@dataclass(frozen=True)
class Pair:
    """An instruction (the last user turn) and its response, with the name that rejections refer to."""

    identifier: str
    instruction: str
    response: str
    stop_reason: str | None = None

    @cached_property
    def normalised_instruction(self) -> str:
        return normalise(self.instruction)

    @cached_property
    def normalised_response(self) -> str:
        return normalise(self.response)

    @cached_property
    def instruction_words(self) -> list[str]:
        return words(self.normalised_instruction)

    @cached_property
    def response_words(self) -> list[str]:
        return words(self.normalised_response)


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a row is not accepted, the row it matched, if any, and how close the match is (0 to 1)."""

    reason: str
    matched_id: str | None = None
    score: float | None = None


class Filter(Protocol):
    """Says of each row whether it is rejected, batch by batch.

    It looks at a batch as a whole; then, in order, it is asked about rows of the batch, and told which are accepted,
    so that later rows are compared with them. Only rows that were open when it looked are asked for.
    """

    def look_at(self, pairs: Sequence[Pair], open_rows: Sequence[int]) -> list[int]:
        """Take the next batch; those of its open rows that are rejected whatever becomes of the others (or fewer)."""

    def check(self, row: int) -> Rejection | None:
        """The rejection of a row of the batch, or None when this filter lets it pass."""

    def add(self, row: int) -> None:
        """Take note of an accepted (or given) row of the batch, which later ones are compared with."""

    def state(self) -> dict[str, NDArray[Any]]:
        """What was noted so far, for a filter that goes on from here."""

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on from what another filter had noted."""


class FilterOfRows:
    """A filter whose decision on a row depends on no earlier row, so that it has nothing to note.

    `look_at` of a subclass sets `_rejections`, by the rows of the batch.
    """

    def __init__(self) -> None:
        self._rejections: dict[int, Rejection] = {}

    def check(self, row: int) -> Rejection | None:
        return self._rejections.get(row)

    def add(self, row: int) -> None:
        """Nothing to note."""

    def state(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Nothing was noted."""


def read_pair(row: Mapping[str, Any], name: str) -> Pair | None:
    """The pair in a row, or None when there is none: an error is set, or no text of a user and an assistant.

    A row has `messages` (role, content) or the columns `instruction` and `response`. Its identifier is that of the
    row (`prompt_ids`, `prompt_id` or `id`), otherwise `name`.
    """
    if row.get("error") is not None:
        return None
    has_messages = row.get("messages") is not None
    texts = _from_messages(row["messages"]) if has_messages else (row.get("instruction"), row.get("response"))
    if texts is None:
        return None
    instruction, response = texts
    if not isinstance(instruction, str) or not isinstance(response, str):
        return None
    stopped = next((row[name] for name in STOP_REASONS if row.get(name) is not None), None)
    return Pair(_identifier(row, name), instruction, response, stopped)


def _identifier(row: Mapping[str, Any], name: str) -> str:
    return next((str(row[column]) for column in IDENTIFIERS if row.get(column) is not None), name)


def _from_messages(messages: Any) -> tuple[Any, Any] | None:
    """The last response and the last user turn before it."""
    if not isinstance(messages, list) or not all(isinstance(turn, Mapping) for turn in messages):
        return None
    turns = [(turn.get("role"), turn.get("content")) for turn in messages]
    answers = [position for position, (role, _) in enumerate(turns) if role == "assistant"]
    if not answers:
        return None
    questions = [content for role, content in turns[: answers[-1]] if role == "user"]
    return (questions[-1], turns[answers[-1]][1]) if questions else None
