"""A vendor's batch API, the same for every vendor: submit a file of calls, look at it, fetch the answers."""

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from llamaduo.service.interface import Answer, Request

State = Literal["waiting", "ended", "failed"]
"""waiting: under way; ended: what was answered can be fetched; failed: the vendor did not take it, or lost it."""


@dataclass(frozen=True)
class Status:
    """How far a batch is. `word`: the vendor's state; `done` of its calls are finished, as far as the vendor tells.

    `problem`: why it failed; `passing` tells whether it may be taken when it is submitted again.
    """

    state: State
    word: str
    done: int = 0
    problem: str = ""
    passing: bool = True


@dataclass(frozen=True)
class Asked:
    """What must be known of a call to read its result: how many samples it asked for, and how long they may be."""

    samples: int
    max_tokens: int


@dataclass(frozen=True)
class Result:
    """What became of one call of a batch.

    Either `answers`, or a `problem`; `passing` tells whether the same call may be answered in another batch.
    """

    id: str
    answers: tuple[Answer, ...] = ()
    problem: str = ""
    passing: bool = True


class BatchProvider(Protocol):
    """One vendor's SDK behind the same calls. All raise `Transient` or `Rejected`, as `Provider.ask` does."""

    most_requests: int
    most_bytes: int
    keeps_names: bool
    """Whether the vendor keeps the name that a batch is submitted under."""

    def line(self, id: str, request: Request, samples: int) -> dict[str, Any]:
        """The JSON of one call that asks for so many samples."""
        ...

    async def submit(self, name: str, lines: Path) -> str:
        """Submit a file of lines under a name, and return the vendor's id of the batch."""
        ...

    async def find(self, name: str, calls: int, since: datetime, known: Collection[str]) -> str | None:
        """The id of the batch that was submitted under a name, if it was; `known` ids are those of other batches.

        Where the vendor keeps no names, one of as many calls that was made `since`.
        """
        ...

    async def status(self, id: str) -> Status: ...

    def results(self, id: str, asked: Mapping[str, Asked]) -> AsyncIterator[Result]:
        """What became of the calls of an ended batch, in any order; of those that are left out nothing did.

        `asked`: its calls by their ids; whatever else the vendor's file holds is passed over.
        """
        ...

    async def cancel(self, id: str) -> None:
        """Ask the vendor to stop; what is answered by then can be fetched once the batch has ended."""
        ...

    async def close(self) -> None: ...
