"""Hand batches to the vendor, each of them once, whatever is killed or breaks off in between."""

import asyncio
import random
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from llamaduo.config.budget import BudgetSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.service.batches.interface import BatchProvider
from llamaduo.service.batches.planning import line_of, portions
from llamaduo.service.batches.records import Batch, Call, Ending, Facts, Step, now, steps_of
from llamaduo.service.budget.cost import most_dollars
from llamaduo.service.budget.ledger import Ledger
from llamaduo.service.interface import Transient
from llamaduo.storage.canonical import canonical
from llamaduo.storage.files import atomic_path

CLOCKS_APART = timedelta(minutes=5)
"""So far the vendor's clock may be behind ours when batches are told apart by the time of their making."""
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0


class Submitter:
    """Submits the batches of one service whose steps' folders are below `state`."""

    def __init__(
        self, name: str, service: ServiceSettings, provider: BatchProvider, state: Path, budget: BudgetSettings | None
    ) -> None:
        self._name, self._service, self._provider = name, service, provider
        self._state, self._budget = state, budget

    async def submit(self, step: Step, calls: Sequence[Call], round: int) -> None:
        """Submit calls of a step that were in `round` batches before, in as many batches as their sizes need.

        The step is held. Raises `BudgetReached` before anything is sent, `Rejected`, and `Transient` after all
        retries. What was recorded by then is taken up by `resume`.
        """
        for portion in portions(calls, self._service, self._provider):
            facts = Facts(
                asked=asked_of(self._service),
                calls=len(portion),
                samples=sum(len(call.replicates) for call in portion),
                since=now().isoformat(),
                round=round,
                dollars=sum(self._most_dollars(call) for call in portion),
            )
            await self._send(step, step.add(portion, facts), is_new=True)

    async def resume(self, step: Step, batch: Batch, gives_up: bool = False) -> None:
        """Submit a batch that was recorded, unless the vendor turns out to have it already.

        If the vendor has it not, one that was made under other settings of the service is given up.
        """
        if batch.facts.asked == asked_of(self._service) and not gives_up:
            await self._send(step, batch, is_new=False)
        elif (id := await self._find(batch)) is not None:
            batch.note_submitted(id)
        else:
            batch.note_ending(Ending("not submitted", 0))
            batch.note_followed()

    async def _send(self, step: Step, batch: Batch, is_new: bool) -> None:
        if self._budget is not None:
            Ledger(self._budget, step.journal, self._service).hold(batch.name, batch.facts.dollars)
        for failures in range(self._service.retries + 1):
            try:
                id = None if is_new and not failures else await self._find(batch)
                if id is None:
                    with atomic_path(batch.folder / "lines.jsonl") as lines:
                        self._write(batch, lines)
                        id = await self._provider.submit(batch.name, lines)
            except Transient as error:
                if failures == self._service.retries:
                    raise
                longest = min(FIRST_WAIT_SECONDS * 2**failures, LONGEST_WAIT_SECONDS)
                print(f"batch not submitted: {error}; trying again", file=sys.stderr, flush=True)
                # An attempt whose answer was lost shows in the vendor's list a moment later.
                await asyncio.sleep(error.retry_after or FIRST_WAIT_SECONDS + random.uniform(0, longest))  # noqa: S311
            else:
                batch.note_submitted(id)
                (batch.folder / "lines.jsonl").unlink(missing_ok=True)
                return

    async def _find(self, batch: Batch) -> str | None:
        known = {other.id for step in steps_of(self._name, self._state) for other in step.batches()}
        facts = batch.facts
        since = datetime.fromisoformat(facts.since) - CLOCKS_APART
        return await self._provider.find(batch.name, facts.calls, since, {id for id in known if id} | {*batch.foreign})

    def _write(self, batch: Batch, lines: Path) -> None:
        with lines.open("wb") as file:
            for call in batch.calls():
                file.write(line_of(call, self._service, self._provider))

    def _most_dollars(self, call: Call) -> float:
        return most_dollars(call.request, len(call.replicates), self._service.price, batch=True)


def asked_of(service: ServiceSettings) -> str:
    """What of a service's settings the lines of a batch depend on, beside what the calls' records hold."""
    settings = service.model_dump(include={"provider", "model", "structured_output"})
    return canonical({**settings, "simulated": service.is_simulated})
