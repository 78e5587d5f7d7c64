"""The simulated service's batches and their files, whatever the vendor; gone with its process."""

import asyncio
import random
import re
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from llamaduo.config.simulation import BatchSimulation
from llamaduo.simulated.protocols.interface import BadRequest
from llamaduo.storage.canonical import canonical, digest

Body = dict[str, Any]
Fate = Literal["answered", "expired", "errored", "canceled", "rejected"]

CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MOST_TRIES = 2
"""After so many batches that left it unanswered a call is answered."""
QUEUE_FULL = "token_limit_exceeded: simulated limit of tokens in the queue"


@dataclass
class Line:
    """One call of a batch, and what became of it. `replicate` stands for the header of a call by itself."""

    id: str
    body: Body
    replicate: str
    fate: Fate | None = None
    response: Body = field(default_factory=dict)


@dataclass
class SimulatedBatch:
    """A batch as the service keeps it.

    `headers` are those of the request that made it, `name` the client's own, `model` that of the path, where the
    vendor has them. `problem`: why it is not taken.
    """

    id: str
    lines: list[Line]
    headers: Mapping[str, str]
    name: str = ""
    model: str | None = None
    input_file: str = ""
    problem: str = ""
    state: Literal["under way", "ended", "failed", "canceled"] = "under way"
    output_file: str | None = None
    error_file: str | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    def count(self, *fates: Fate) -> int:
        """How many of its calls ended so."""
        return sum(line.fate in fates for line in self.lines)


Respond = Callable[[SimulatedBatch, Line], Body]
"""The answer to one call of a batch. Raises `BadRequest` for what is no call of the vendor's protocol."""


class Store:
    """One vendor's files and batches. A batch's calls are answered all at once when its time is over.

    `can_fail`: whether the vendor may refuse a batch after it was made; otherwise all its calls end in errors.
    """

    def __init__(self, simulation: BatchSimulation, respond: Respond, can_fail: bool) -> None:
        self._simulation, self._respond, self._can_fail = simulation, respond, can_fail
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, SimulatedBatch] = {}
        self.ended: Callable[[SimulatedBatch], None] = lambda batch: None
        self._tries: Counter[str] = Counter()
        self._at_work: set[asyncio.Task[None]] = set()

    def start(self, batch: SimulatedBatch) -> None:
        """Take a batch, and go to work on it."""
        self.batches[batch.id] = batch
        fails = len(self.batches) <= self._simulation.failed
        task = asyncio.get_running_loop().create_task(self._process(batch, fails))
        self._at_work.add(task)
        task.add_done_callback(self._at_work.discard)

    def cancel(self, batch: SimulatedBatch) -> None:
        """End a batch that is under way; none of its calls was answered yet."""
        if batch.state == "under way":
            batch.state = "canceled"
            for line in batch.lines:
                line.fate = "canceled"
            self.ended(batch)

    def keep(self, content: bytes) -> str:
        """Keep a file, and return its name."""
        name = f"file-{uuid.uuid4().hex}"
        self.files[name] = content
        return name

    def page(self, after: str | None, limit: str | None) -> tuple[Sequence[SimulatedBatch], bool]:
        """The batches that follow one, the newest first, and whether others follow them."""
        newest_first = list(self.batches.values())[::-1]
        start = next((place + 1 for place, batch in enumerate(newest_first) if batch.id == after), 0)
        end = start + int(limit or 20)
        return newest_first[start:end], end < len(newest_first)

    async def _process(self, batch: SimulatedBatch, fails: bool) -> None:
        await asyncio.sleep(self._simulation.seconds)
        if batch.state != "under way":
            return
        if batch.problem or (fails and self._can_fail):
            batch.state, batch.problem = "failed", batch.problem or QUEUE_FULL
            return
        for line in batch.lines:
            line.fate = "errored" if fails else self._fate(line)
            if line.fate == "answered":
                try:
                    line.response = self._respond(batch, line)
                except BadRequest as error:
                    line.fate, line.response = "rejected", {"message": str(error)}
        batch.state = "ended"
        self.ended(batch)

    def _fate(self, line: Line) -> Fate:
        key = digest([line.body, line.replicate])
        number = self._tries[key]
        self._tries[key] += 1
        if number >= MOST_TRIES:
            return "answered"
        point = random.Random(digest([key, number])).random()  # noqa: S311
        if point < self._simulation.expired:
            return "expired"
        return "errored" if point < self._simulation.expired + self._simulation.errors else "answered"


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers by their names in lower case."""
    return {name.lower(): value for name, value in headers.items()}


def jsonl(values: Iterable[Any]) -> bytes:
    """Values as lines of JSON."""
    return b"".join(canonical(value).encode() + b"\n" for value in values)


def wrong_ids(ids: Sequence[str]) -> str:
    """What is wrong with the ids of a batch's calls, as code and message; empty when nothing is."""
    if len(set(ids)) < len(ids):
        return "duplicate_custom_id: every call needs a custom_id of its own"
    wrong = [id for id in ids if not CUSTOM_ID.fullmatch(id)]
    return f"invalid_custom_id: {wrong[0]}" if wrong else ""
