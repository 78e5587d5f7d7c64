"""Ask a service LLM many things at once, each of them once and for all."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from llamaduo.cli.errors import InputError, ServiceError
from llamaduo.cli.progress import Progress
from llamaduo.config.services import SIMULATED, ServiceSettings
from llamaduo.service.asking import Asking, families
from llamaduo.service.calls import Calls, Stopped, Unavailable
from llamaduo.service.interface import Answer, Budget, BudgetReached, Outcome, Provider, Rejected, Request
from llamaduo.service.journal.journal import open_earlier, open_journal
from llamaduo.service.providers.registry import open_provider

T = TypeVar("T")

SECONDS_BETWEEN_LOOKS = 1.0
"""How often the progress is looked at when nothing is answered."""
KEPT = "What was answered is kept; the same command goes on from there"


def ask_all(
    name: str,
    service: ServiceSettings,
    requests: Iterable[Request],
    accept: Callable[[Answer], T],
    journal: Path,
    label: str,
    earlier: Sequence[Path] = (),
    budget: Budget | None = None,
) -> list[Outcome[T]]:
    """Ask the service `name` all `requests`, and return what became of each, in their order. As `ask_each`."""
    outcomes: dict[int, Outcome[T]] = {}
    ask_each(name, service, requests, accept, journal, label, outcomes.__setitem__, earlier, budget)
    return [outcomes[place] for place in range(len(outcomes))]


def ask_each(
    name: str,
    service: ServiceSettings,
    requests: Iterable[Request],
    accept: Callable[[Answer], T],
    journal: Path,
    label: str,
    settled: Callable[[int, Outcome[T]], None],
    earlier: Sequence[Path] = (),
    budget: Budget | None = None,
) -> None:
    """Ask the service `name` all `requests`, and tell `settled` the place and the outcome of each once it has one.

    What the journal holds is not asked again; every new answer is in it before it counts. Requests with the same
    content and replicate are asked once. Those that follow one another and differ in replicate only share calls, up
    to the service's `samples_per_call`; the answers are the same as with calls of their own. `accept` reads an answer
    and returns its value, or raises `Unacceptable`: then the same is asked again, up to the service's `attempts`.
    Refused, filtered and truncated answers reach `accept` too; their stop reason tells. `label` heads the progress
    lines. Neither the requests nor their outcomes are kept in memory, so there may be any number of them.

    `earlier` are journals of other calls of this function, in which answers are looked for as well before anything
    is asked. They are only read, at the same time as others may write to them, and what they hold is not copied:
    every answer that was paid for stands in one journal. `budget` is what may be spent; it needs the service's price.

    Raises `InputError` when the key is missing, the service does not take the requests or the budget is reached, and
    `ServiceError` when it cannot be reached or does not recover, or when the process is told to end (SIGTERM, SIGINT).
    Calls in flight are awaited then, since they are paid for; what was answered is in the journal. Starts an event
    loop of its own, so it cannot be called from within one.
    """
    total = len(requests) if isinstance(requests, Sized) else None
    with ExitStack() as opened:
        record = opened.enter_context(open_journal(journal))
        calls = Calls(service, budget)
        progress = opened.enter_context(Progress(label, total, "call", status=calls.status))

        def tell(place: int, outcome: Outcome[T], was_recorded: bool) -> None:
            settled(place, outcome)
            progress.advance(was_done=was_recorded)

        asking = Asking(service, accept, record, lambda: opened.enter_context(open_earlier(earlier)), tell)
        asyncio.run(_run(name, service, requests, asking, calls, progress))


async def _run(
    name: str,
    service: ServiceSettings,
    requests: Iterable[Request],
    asking: Asking[T],
    calls: Calls,
    progress: Progress,
) -> None:
    """Have the requests settled by as many workers as calls may be in flight."""
    failures: list[Exception] = []

    def stop(error: Exception) -> None:
        failures.append(error)
        calls.stop()
        asking.stop()

    async def work(waiting: Iterator[list[tuple[int, Request]]], way: _Way) -> None:
        try:
            await asking.work(waiting, way.answers)
        except Stopped:
            pass
        except Exception as error:
            stop(error)

    async def look() -> None:
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS)
            progress.advance(0)

    workers = min(service.concurrency, len(requests)) if isinstance(requests, Sized) else service.concurrency
    looking = asyncio.create_task(look())
    way = _Way(name, service, calls)
    try:
        with _told_to_end(stop):
            waiting = families(requests)
            await asyncio.gather(*(work(waiting, way) for _ in range(workers)))
    finally:
        looking.cancel()
        await way.close()
    if calls.budget_problem is not None:
        failures.append(calls.budget_problem)
    if failures:
        raise _explained(name, service, failures[0])


class _Way:
    """The way to the service, opened with the first call: without one neither a key nor a service is needed."""

    def __init__(self, name: str, service: ServiceSettings, calls: Calls) -> None:
        self._name, self._service, self._calls = name, service, calls
        self._provider: Provider | None = None
        self._opened = ExitStack()

    async def answers(self, request: Request, headers: Mapping[str, str], samples: int) -> list[Answer]:
        """Make one call."""
        if self._provider is None:
            address = self._opened.enter_context(_address(self._service))
            self._provider = open_provider(self._name, self._service, address, self._calls.limits.observe)
        return await self._calls.answers(self._provider, request, headers, samples)

    async def close(self) -> None:
        """Close the connections, and stop a simulated service that was started."""
        if self._provider is not None:
            await self._provider.close()
        self._opened.close()


@contextmanager
def _address(service: ServiceSettings) -> Iterator[str | None]:
    """Where the service stands; a simulated one without an address is started, and runs until the block ends."""
    if service.base_url != SIMULATED:
        yield service.base_url
        return
    from llamaduo.simulated.server import running

    with running(service.simulation) as address:
        yield address


@contextmanager
def _told_to_end(stop: Callable[[Exception], None]) -> Iterator[None]:
    """Stop in good order when the process is told to end, as by a cluster before its time limit; at once if again."""
    loop = asyncio.get_running_loop()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def told(number: signal.Signals) -> None:
        for each in before:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        stop(ServiceError(f"told to end by {number.name}. {KEPT}"))

    for number in before:
        loop.add_signal_handler(number, told, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _explained(name: str, service: ServiceSettings, error: Exception) -> Exception:
    where = f"service {name} ({service.provider}, {service.model})"
    if isinstance(error, Rejected):
        return InputError(f"{where}: {error}")
    if isinstance(error, BudgetReached):
        return InputError(f"{where}: {error}")
    if isinstance(error, Unavailable):
        return ServiceError(f"{where}: {error}. {KEPT}")
    return error
