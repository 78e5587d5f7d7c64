"""What `mode: batch` makes of asking a service: submit in one step, collect in a later one, with the wait between."""

import asyncio
from collections.abc import Callable, Container, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from llamaduo.cli.errors import InputError, ServiceError
from llamaduo.config.budget import BudgetSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.service.batches.collecting import collect
from llamaduo.service.batches.interface import BatchProvider
from llamaduo.service.batches.planning import grouped, needed
from llamaduo.service.batches.providers import open_batches
from llamaduo.service.batches.records import Step
from llamaduo.service.batches.submitting import Submitter
from llamaduo.service.batches.watching import Watch, unanswered
from llamaduo.service.interface import Answer, BudgetReached, Rejected, Request, Transient
from llamaduo.service.journal import identity
from llamaduo.service.journal.journal import Journal, open_journal
from llamaduo.storage.canonical import digest
from llamaduo.storage.files import write_json

T = TypeVar("T")

ONLINE_SHARE = 0.1
"""Of a step's calls, so many may be asked online after its batches: malformed answers, asked for again."""
ONLINE_CALLS = 20
"""And so many whatever their share."""
PATIENCE_SECONDS = 600.0
"""So long a poller may take to fetch the answers of the step that is to be submitted or collected."""


class InBatches:
    """One step's questions to the service `name`: its `requests`, the reader `accept` and the `journal` of its answers.

    `state`: the folder of all steps' batches, and `step` the step's place in it. `earlier`: journals in which answers
    are looked for as well. Every method raises `InputError` and `ServiceError`; what was done by then is found again.
    In `mode: online` nothing is submitted, and what is under way since the mode was changed is not waited for.
    """

    def __init__(
        self,
        name: str,
        service: ServiceSettings,
        requests: Sequence[Request],
        accept: Callable[[Answer], Any],
        journal: Path,
        *,
        state: Path,
        step: str,
        earlier: Sequence[Path] = (),
        budget: BudgetSettings | None = None,
    ) -> None:
        self._name, self._service, self._requests, self._accept = name, service, requests, accept
        self._journal, self._earlier, self._budget = journal, earlier, budget
        self._step, self._state = Step(state / step), state
        self._is_online = service.mode == "online"

    def submit_and_note(self, note: Path) -> None:
        """Submit, and write to the file `note` what the step asks for, which depends on its requests only."""
        if not self._is_online:
            self.submit()
        write_json(note, {"answers": len(self._keys), "keys": digest(self._keys)})

    @cached_property
    def _keys(self) -> list[str]:
        """The journal's keys of the requests, those of equal content and replicate once, in their order."""
        return list(dict.fromkeys(identity.key(self._service, request, 0) for request in self._requests))

    def submit(self) -> int:
        """Submit every call that the journal lacks and no batch holds, and return how many answers they are for."""
        with self._step.held(PATIENCE_SECONDS), open_journal(self._journal) as journal:
            self._step.note(self._name, self._journal)
            held = {
                call.key(place)
                for batch in self._step.open_batches()
                for call in batch.calls()
                for place in range(len(call.replicates))
            }
            records = self._needed(journal)
            wanted = {digest(record, identity.KEY_LENGTH) for record in records}
            self._give_up_unwanted(wanted)
            missing = [record for record in records if digest(record, identity.KEY_LENGTH) not in held]
            new = grouped(missing, self._service.samples_per_call)
            unsent = [batch for batch in self._step.open_batches() if batch.ending is None and batch.id is None]
            if not new and not unsent:
                return 0

            async def send(provider: BatchProvider) -> None:
                submitter = Submitter(self._name, self._service, provider, self._state, self._budget)
                for batch in unsent:
                    await submitter.resume(self._step, batch)
                await submitter.submit(self._step, new, round=0)

            run_with_provider(self._name, self._service, send)
        return sum(len(call.replicates) for call in new)

    def collect(self, label: str) -> None:
        """Put what the batches answered into the journal, until only little is left, to be asked online.

        Where much is left, since nothing was submitted before or since many answers had not the form asked for, that
        is submitted and waited for here. `label` heads the lines that tell of the wait.
        """
        if self._is_online:
            if self._step.service is not None:
                self._end_now(label)
                self._collected()
            return
        while self._collected() > max(ONLINE_CALLS, ONLINE_SHARE * len(self._keys)):
            self.submit()
            wait(self._name, self._service, self._state, self._step.folder, label, self._budget)

    def _end_now(self, label: str) -> None:
        """Have the vendor stop what is under way, and fetch what it has answered."""
        if not any(batch.ending is None for batch in self._step.open_batches()):
            return

        async def end(provider: BatchProvider) -> None:
            for batch in self._step.open_batches():
                if batch.ending is None and batch.id is not None:
                    with suppress(Rejected):  # it has ended meanwhile
                        await provider.cancel(batch.id)
            watch = Watch(self._name, self._service, provider, self._state, self._budget, submits=False)
            await watch.until_settled(self._step, label)

        run_with_provider(self._name, self._service, end)

    def _collected(self) -> int:
        """Collect what there is, and return how many calls are left."""
        if not self._step.folder.exists():
            with open_journal(self._journal) as journal:
                return len(self._needed(journal))
        with self._step.held(PATIENCE_SECONDS), open_journal(self._journal) as journal:
            asyncio.run(collect(self._step, self._service, journal, self._budget))
            return len(self._needed(journal))

    def _give_up_unwanted(self, wanted: Container[str]) -> None:
        """Do not ask again for what ended batches left unanswered and no request needs any longer."""
        for batch in self._step.open_batches():
            if batch.ending is not None and not batch.is_followed:
                left = unanswered(self._step, batch)
                if not any(call.key(place) in wanted for call in left for place in range(len(call.replicates))):
                    batch.note_followed()

    def _needed(self, journal: Journal) -> list[dict[str, Any]]:
        return needed(self._service, self._requests, self._accept, journal, self._earlier)


def wait(
    name: str, service: ServiceSettings, state: Path, folder: Path, label: str, budget: BudgetSettings | None = None
) -> None:
    """Wait until the batches of the step whose `folder` this is, below `state`, have ended and are fetched."""
    step = Step(folder)

    async def watch(provider: BatchProvider) -> None:
        await Watch(name, service, provider, state, budget).until_settled(step, label)

    run_with_provider(name, service, watch)


def run_with_provider(
    name: str, service: ServiceSettings, work: Callable[[BatchProvider], Coroutine[Any, Any, T]]
) -> T:
    """Do `work` with the service's batches opened, its errors told as the user's mistakes or the service's."""

    async def opened() -> T:
        provider = open_batches(name, service)
        try:
            return await work(provider)
        finally:
            await provider.close()

    with _explained(f"service {name} ({service.provider}, {service.model})"):
        return asyncio.run(opened())


@contextmanager
def _explained(title: str) -> Iterator[None]:
    try:
        yield
    except Rejected as error:
        raise InputError(f"{title}: {error}") from error
    except BudgetReached as error:
        raise ServiceError(str(error)) from error
    except Transient as error:
        raise ServiceError(
            f"{title}: {error}; given up. What was submitted is recorded; the same command goes on from there"
        ) from error
