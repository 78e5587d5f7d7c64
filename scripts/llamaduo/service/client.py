"""Ask a service LLM many things at once, each of them once and for all."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

from llamaduo.config.services import SIMULATED, ServiceSettings
from llamaduo.errors import InputError, ServiceError
from llamaduo.progress import Progress
from llamaduo.service import identity
from llamaduo.service.interface import Answer, Outcome, Provider, Rejected, Request, Transient, Unacceptable
from llamaduo.service.journal import Journal, answers_in, open_journal
from llamaduo.service.limits import Limits
from llamaduo.service.providers import open_provider
from llamaduo.service.retry import Retries

T = TypeVar("T")

REPLICATE_HEADER = "x-llamaduo-replicate"


def ask_all(
    name: str,
    service: ServiceSettings,
    requests: Sequence[Request],
    accept: Callable[[Answer], T],
    journal: Path,
    label: str,
    earlier: Sequence[Path] = (),
) -> list[Outcome[T]]:
    """Ask the service `name` all `requests`, and return what became of each, in their order.

    What the journal holds is not asked again; every new answer is in it before it counts. Requests with the same
    content and replicate are asked once. `accept` reads an answer and returns its value, or raises `Unacceptable`:
    then the same is asked again, up to the service's `attempts`. Refused, filtered and truncated answers reach
    `accept` too; their stop reason tells. `label` heads the progress lines.

    `earlier` are journals of other calls of this function, in which answers are looked for as well before anything
    is asked. They are only read, at the same time as others may write to them, and what they hold is not copied:
    every answer that was paid for stands in one journal.

    Raises `InputError` when the key is missing or the service does not take the requests, `ServiceError` when it
    cannot be reached or does not recover. What was answered until then is in the journal. Starts an event loop of
    its own, so it cannot be called from within one.
    """
    with open_journal(journal) as record:
        asking = _Asking(name, service, accept, record)
        distinct = {asking.key(request, attempt=0): request for request in requests}
        open_requests = asking.recall(distinct)
        if open_requests and earlier:
            asking.read(earlier, open_requests.values())
            open_requests = asking.recall(open_requests)
        with Progress(label, len(distinct), "call", done=len(asking.outcomes)) as progress:
            if open_requests:
                with _address(service) as address:
                    asyncio.run(asking.ask(open_requests, address, progress))
        return [asking.outcomes[asking.key(request, attempt=0)] for request in requests]


class _Asking(Generic[T]):
    """One call of `ask_all`: which requests are settled, and how the others are."""

    def __init__(self, name: str, service: ServiceSettings, accept: Callable[[Answer], T], journal: Journal) -> None:
        self.outcomes: dict[str, Outcome[T]] = {}
        self._name, self._service, self._accept, self._journal = name, service, accept, journal
        self._earlier: dict[str, Answer] = {}

    def key(self, request: Request, attempt: int) -> str:
        """The journal's key of a request."""
        return identity.key(self._service, request, attempt)

    def read(self, earlier: Sequence[Path], requests: Iterable[Request]) -> None:
        """Take up what earlier journals hold of the answers to `requests`."""
        wanted = {self.key(request, attempt) for request in requests for attempt in range(self._service.attempts)}
        for path in earlier:
            self._earlier = answers_in(path, wanted) | self._earlier

    def recall(self, requests: Mapping[str, Request]) -> dict[str, Request]:
        """Settle the requests whose recorded answers suffice, and return the others."""
        return {key: request for key, request in requests.items() if not self._recall_one(key, request)}

    def _recall_one(self, key: str, request: Request) -> bool:
        answers: list[Answer] = []
        while (answer := self._recorded(self.key(request, len(answers)))) is not None:
            answers.append(answer)
            if self._settle(key, answers):
                return True
        return False

    def _recorded(self, key: str) -> Answer | None:
        return self._journal.get(key) or self._earlier.get(key)

    def _settle(self, key: str, answers: list[Answer]) -> bool:
        """Read the last answer; True when no further one is needed, or none is allowed."""
        answer = answers[-1]
        try:
            outcome = Outcome(self._accept(answer), tuple(answers), None)
        except Unacceptable as error:
            if len(answers) < self._service.attempts and not answer.not_begun:
                return False
            problem = str(error) if answer.stop_reason == "stop" else f"{answer.stop_reason}: {error}"
            outcome = Outcome(None, tuple(answers), problem)
        self.outcomes[key] = outcome
        return True

    async def ask(self, requests: Mapping[str, Request], address: str | None, progress: Progress) -> None:
        """Settle `requests` through the service.

        After a failure no further call is made, but those in flight are awaited, since they are paid for.
        """
        provider = open_provider(self._name, self._service, address)
        stopping = asyncio.Event()
        retries = Retries(
            self._service.retries,
            Limits(self._service.requests_per_minute),
            stopping,
            on_failure=lambda problem: progress.advance(0, note=problem),
        )
        waiting = iter(requests.items())
        failures: list[Exception] = []

        async def work() -> None:
            for key, request in waiting:
                try:
                    await self._ask_until_settled(key, request, provider, retries)
                except Exception as error:
                    failures.append(error)
                    stopping.set()
                if stopping.is_set():
                    return
                progress.advance()

        try:
            await asyncio.gather(*(work() for _ in range(min(self._service.concurrency, len(requests)))))
        finally:
            await provider.close()
        if failures:
            raise self._explained(failures[0])

    async def _ask_until_settled(self, key: str, request: Request, provider: Provider, retries: Retries) -> None:
        answers: list[Answer] = []
        while True:
            attempt = len(answers)
            attempt_key = self.key(request, attempt)
            answer = self._recorded(attempt_key)
            if answer is None:
                answer = await self._ask_once(request, attempt, provider, retries)
                await self._journal.append(attempt_key, identity.record(self._service, request, attempt), answer)
            answers.append(answer)
            if self._settle(key, answers):
                return

    async def _ask_once(self, request: Request, attempt: int, provider: Provider, retries: Retries) -> Answer:
        headers = {REPLICATE_HEADER: f"{request.replicate}.{attempt}"} if self._service.is_simulated else {}
        sent = Request(
            request.messages, identity.schema_of(self._service, request), request.generation, request.replicate
        )

        async def send() -> Answer:
            try:
                async with asyncio.timeout(self._service.timeout_seconds):
                    return (await provider.ask(sent, headers))[0]
            except TimeoutError as error:
                raise Transient(f"no answer within {self._service.timeout_seconds:g} s") from error

        return await retries.until_answered(send)

    def _explained(self, error: Exception) -> Exception:
        if isinstance(error, Rejected):
            return InputError(f"service {self._name} ({self._service.provider}, {self._service.model}): {error}")
        if isinstance(error, Transient):
            return ServiceError(
                f"service {self._name} ({self._service.provider}, {self._service.model}): {error}; given up "
                f"(retries: {self._service.retries}). What was answered is kept; the same command goes on from there"
            )
        return error


@contextmanager
def _address(service: ServiceSettings) -> Iterator[str | None]:
    """Where the service stands; a simulated one without an address is started, and runs until the block ends."""
    if service.base_url != SIMULATED:
        yield service.base_url
        return
    from llamaduo.simulated.server import running

    with running(service.simulation) as address:
        yield address
