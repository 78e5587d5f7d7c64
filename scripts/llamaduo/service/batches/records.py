"""What is known of a step's batches, on disk: enough to find each of them again after any kill.

A step has a folder below `state/batches`, and in it a folder for each batch. The batch's folder is written whole,
under the name that the batch will have at the vendor, before anything is sent; so a batch that the vendor knows has
its folder, and a folder without the vendor's id may or may not have its batch.
"""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llamaduo.config.services import Generation
from llamaduo.service.batches.interface import Asked, Result, Status
from llamaduo.service.interface import Answer, Request
from llamaduo.service.journal.identity import KEY_LENGTH
from llamaduo.storage.canonical import canonical, digest
from llamaduo.storage.files import atomic_folder, atomic_path, read_json, write_json
from llamaduo.storage.lease import LeaseHeld, lease

PREFIX = "llamaduo-"


@dataclass(frozen=True)
class Call:
    """One call of a batch: several replicates of one request, asked for together.

    `record` is that of the journal for the first replicate; the others' differ in their number only.
    """

    record: Mapping[str, Any]
    replicates: tuple[int, ...]

    @property
    def id(self) -> str:
        """The call's name at the vendor: the journal's key of the first replicate, which tells nothing of its text."""
        return self.key(0)

    def key(self, place: int) -> str:
        """The journal's key of one of the replicates."""
        return digest(self.record_of(place), KEY_LENGTH)

    def record_of(self, place: int) -> dict[str, Any]:
        return {**self.record, "replicate": self.replicates[place]}

    @property
    def request(self) -> Request:
        # What the record leaves out was null, whatever the defaults are.
        generation = dict.fromkeys(Generation.model_fields) | self.record["generation"]
        return Request(
            tuple(self.record["messages"]),
            self.record["schema"],
            Generation.model_validate(generation),
            self.replicates[0],
        )

    @property
    def asked(self) -> Asked:
        return Asked(len(self.replicates), self.record["generation"]["max_tokens"])


@dataclass(frozen=True)
class Facts:
    """What a batch was made of. `since`: UTC, ISO 8601. `round`: how many batches asked for its calls before.

    `asked`: what of the service's settings its calls depend on. `dollars`: the most that it may cost.
    """

    asked: str
    calls: int
    samples: int
    since: str
    round: int
    dollars: float


@dataclass(frozen=True)
class Ending:
    """How a batch ended: with so many of its calls `answered`.

    `problem`: why one of the others was not, in the vendor's words. `rejected`: the ids of the calls that the vendor
    will not take. `failed`: whether it did not take the batch.
    """

    word: str
    answered: int
    problem: str = ""
    rejected: tuple[str, ...] = ()
    failed: bool = False


class Batch:
    """The folder of one batch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        """Its name at the vendor."""
        return self.folder.name

    @property
    def facts(self) -> Facts:
        return Facts(**read_json(self.folder / "batch.json"))

    def calls(self) -> Iterator[Call]:
        """The calls that it was made of; none once it is collected."""
        with suppress(FileNotFoundError), (self.folder / "calls.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                value = json.loads(line)
                yield Call(value["record"], tuple(value["replicates"]))

    @property
    def id(self) -> str | None:
        """The vendor's id; None while it is not known whether the batch was submitted."""
        return self._read("submitted.json", "id")

    def note_submitted(self, id: str | None) -> None:
        """Record the vendor's id; None takes back one that proved to be another batch's."""
        if id is None:
            (self.folder / "submitted.json").unlink()
        else:
            write_json(self.folder / "submitted.json", {"id": id})

    @property
    def foreign(self) -> list[str]:
        """Ids at the vendor that were taken for this batch and are another's."""
        return self._read("foreign.json", "ids") or []

    def note_foreign(self, id: str) -> None:
        write_json(self.folder / "foreign.json", {"ids": [*self.foreign, id]})

    @property
    def status(self) -> Status | None:
        """The vendor's last word on it, as far as it was asked."""
        with suppress(FileNotFoundError):
            return Status(**read_json(self.folder / "status.json"))
        return None

    def note_status(self, status: Status) -> None:
        if status != self.status:
            write_json(self.folder / "status.json", asdict(status))

    @property
    def ending(self) -> Ending | None:
        """How it ended; None while it has not, or its answers are not here yet."""
        with suppress(FileNotFoundError):
            value = read_json(self.folder / "ended.json")
            return Ending(**{**value, "rejected": tuple(value["rejected"])})
        return None

    def note_ending(self, ending: Ending, results: Sequence[Result] = ()) -> None:
        """Keep what was answered, then record the end."""
        with (
            atomic_path(self.folder / "answers.jsonl") as path,
            path.open("w", encoding="utf-8") as file,
        ):
            for result in results:
                if result.answers:
                    answers = [asdict(answer) for answer in result.answers]
                    file.write(canonical({"id": result.id, "answers": answers}) + "\n")
        write_json(self.folder / "ended.json", asdict(ending))

    def answers(self) -> dict[str, list[Answer]]:
        """The answers that came, by the calls' ids; none once they are collected."""
        found = {}
        with suppress(FileNotFoundError), (self.folder / "answers.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                value = json.loads(line)
                found[value["id"]] = [Answer(**answer) for answer in value["answers"]]
        return found

    @property
    def is_told(self) -> bool:
        """Whether the user was told of what was rejected, or is not answered ever; then it is tried again."""
        return (self.folder / "told.json").exists()

    def note_told(self) -> None:
        write_json(self.folder / "told.json", {})

    @property
    def is_followed(self) -> bool:
        """Whether what it left unanswered, if anything, is in other batches."""
        return (self.folder / "followed.json").exists()

    def note_followed(self) -> None:
        write_json(self.folder / "followed.json", {})

    @property
    def is_collected(self) -> bool:
        """Whether its answers are in the journal."""
        return (self.folder / "collected.json").exists()

    def note_collected(self) -> None:
        """Record that its answers are in the journal, and drop what is there as well."""
        write_json(self.folder / "collected.json", {})
        for name in ("calls.jsonl", "answers.jsonl"):
            (self.folder / name).unlink(missing_ok=True)

    def _read(self, name: str, key: str) -> Any:
        with suppress(FileNotFoundError):
            return read_json(self.folder / name)[key]
        return None


class Step:
    """The folder of one step's batches: those that answer the calls of one journal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def held(self, patience: float = 0.0) -> Iterator[None]:
        """Keep every other process from the step's batches, after waiting for up to `patience` seconds for them.

        Raises `LeaseHeld`.
        """
        end = time.monotonic() + patience
        with ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(lease(self.folder / "step", f"the batches {self.folder}"))
                    break
                except LeaseHeld:
                    if time.monotonic() >= end:
                        raise
                    time.sleep(0.2)
            yield

    @property
    def service(self) -> str | None:
        """The name of the service that is asked; None before the first submission."""
        with suppress(FileNotFoundError):
            service: str = read_json(self.folder / "step.json")["service"]
            return service
        return None

    @property
    def journal(self) -> Path:
        """The journal that the answers are for."""
        return Path(read_json(self.folder / "step.json")["journal"])

    def note(self, service: str, journal: Path) -> None:
        """Record what the step is, so that the service's poller finds it."""
        write_json(self.folder / "step.json", {"service": service, "journal": str(journal)})

    def batches(self) -> list[Batch]:
        """All batches of the step, oldest first."""
        found = [Batch(file.parent) for file in self.folder.glob(f"{PREFIX}*/batch.json")]
        return sorted(found, key=lambda batch: (batch.facts.since, batch.name))

    def open_batches(self) -> list[Batch]:
        """The batches whose answers are not in the journal."""
        return [batch for batch in self.batches() if not batch.is_collected]

    def add(self, calls: Sequence[Call], facts: Facts) -> Batch:
        """Record a batch that is going to be submitted, under a name that nothing else has."""
        folder = self.folder / f"{PREFIX}{uuid.uuid4().hex}"
        with atomic_folder(folder) as part:
            with (part / "calls.jsonl").open("w", encoding="utf-8") as file:
                for call in calls:
                    # The order of a schema's properties is that of the answer, so keys are not sorted.
                    file.write(json.dumps({"record": call.record, "replicates": call.replicates}) + "\n")
            write_json(part / "batch.json", {field.name: getattr(facts, field.name) for field in fields(facts)})
        return Batch(folder)


def steps_below(folder: Path) -> list[Step]:
    """The steps below a folder that have batches, or had them."""
    return [Step(file.parent) for file in sorted(folder.rglob("step.json"))]


def steps_of(service: str, state: Path) -> list[Step]:
    """The steps below the folder `state` that ask a service in batches."""
    return [step for step in steps_below(state) if step.service == service]


def now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)
