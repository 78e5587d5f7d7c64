"""Wait for a step's batches: one process per service asks the vendor, for all steps; the others read what it notes."""

import asyncio
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from llamaduo.cli.errors import InputError, ServiceError
from llamaduo.config.budget import BudgetSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.service.batches.interface import BatchProvider
from llamaduo.service.batches.records import Batch, Call, Ending, Step, now, steps_of
from llamaduo.service.batches.submitting import Submitter, asked_of
from llamaduo.service.budget.cost import priced
from llamaduo.service.budget.ledger import Ledger
from llamaduo.service.interface import BudgetReached, Rejected, Transient
from llamaduo.storage.lease import LeaseHeld, lease

LINE_SECONDS = 900.0
"""An unchanged state is told again after so long, as a sign of life."""
UNREACHABLE_SECONDS = 3600.0
"""A vendor that is not reached for so long is given up; its batches go on, and the same command finds them."""
LONGEST_AGE = timedelta(hours=49)
"""Longer than any vendor's window for a batch (OpenAI and Anthropic 24 hours, Gemini 48)."""
TOLD = "What was answered is kept; the same command submits the rest again"


class Watch:
    """Looks after the batches of one service; the steps' folders are below `state`.

    `submits`: whether what was not answered is submitted again.
    """

    def __init__(
        self,
        name: str,
        service: ServiceSettings,
        provider: BatchProvider,
        state: Path,
        budget: BudgetSettings | None,
        submits: bool = True,
    ) -> None:
        self._name, self._service, self._provider = name, service, provider
        self._state, self._budget, self._submits = state, budget, submits
        self._submitter = Submitter(name, service, provider, state, budget)
        self._settled: dict[Path, int] = {}

    async def until_settled(self, step: Step, label: str) -> None:
        """Return when every call of the step's batches is answered, or is left to be asked online.

        Raises `InputError` when the vendor will not take some of them, `ServiceError` when they are not answered in
        batch after batch, or the vendor is not reached for long.
        """
        reached = time.monotonic()
        lines = _Lines(label)
        with ExitStack() as stack:
            is_poller = False
            while True:
                if not is_poller:
                    with suppress(LeaseHeld):
                        poller = self._state / "pollers" / self._name
                        stack.enter_context(lease(poller, f"the poller of {self._name}"))
                        is_poller = True
                note = ""
                if is_poller:
                    try:
                        await self._look(step)
                        reached = time.monotonic()
                    except Transient as error:
                        note = f"not reached: {error}"
                        if time.monotonic() - reached > UNREACHABLE_SECONDS:
                            raise
                if problem := self._trouble(step):
                    raise problem
                lines.tell(step, note)
                if is_settled(step):
                    return
                await asyncio.sleep(self._service.batch_poll_seconds)

    async def _look(self, own: Step) -> None:
        """Ask the vendor once for every batch under way, keep what was answered, and submit again what was not."""
        problem: Transient | None = None
        for step in [own, *(other for other in steps_of(self._name, self._state) if other.folder != own.folder)]:
            if self._settled.get(step.folder) == len(step.batches()):
                continue
            try:
                with step.held():
                    await self._tend(step)
            except LeaseHeld:
                continue  # it is being submitted or collected just now
            except Transient as error:
                problem = error
            except (Rejected, BudgetReached) as error:
                # The step that waits for it will be told when it waits itself.
                if step.folder == own.folder:
                    raise
                print(f"{step.folder}: {error}", file=sys.stderr, flush=True)
            if is_settled(step):
                self._settled[step.folder] = len(step.batches())
        if problem is not None:
            raise problem

    async def _tend(self, step: Step) -> None:
        for batch in step.open_batches():
            if batch.ending is None:
                if batch.id is None:
                    await self._submitter.resume(step, batch, gives_up=not self._submits)
                if batch.id is not None:
                    await self._ask(step, batch)
        for batch in step.open_batches():
            if batch.ending is not None and not batch.is_followed:
                await self._follow(step, batch, batch.ending)

    async def _ask(self, step: Step, batch: Batch) -> None:
        assert batch.id is not None
        try:
            status = await self._provider.status(batch.id)
        except Rejected as error:
            raise Rejected(
                f"the batch {batch.id} ({batch.folder}) cannot be looked at: {error}. Is the key that of another "
                "account than it was submitted with? `scripts/batches.py forget` gives a batch up that is gone"
            ) from error
        batch.note_status(status)
        if status.state == "failed":
            rejected = () if status.passing else tuple(call.id for call in batch.calls())
            batch.note_ending(Ending(status.word, 0, f"{status.word}: {status.problem}", rejected, failed=True))
            self._release(step, batch)
        elif status.state == "ended":
            await self._fetch(batch, status.word)

    async def _fetch(self, batch: Batch, word: str) -> None:
        """Keep what an ended batch answered."""
        assert batch.id is not None
        asked = {call.id: call.asked for call in batch.calls()}
        results = {result.id: result async for result in self._provider.results(batch.id, asked)}
        if not self._provider.keeps_names and not results:
            # Taken for ours by its size when ours was looked for; its calls are not.
            batch.note_foreign(batch.id)
            batch.note_submitted(None)
            return
        problems = [result.problem for result in results.values() if not result.answers]
        rejected = tuple(result.id for result in results.values() if not result.answers and not result.passing)
        answered = len(results) - len(problems)
        problem = next((results[id].problem for id in rejected), problems[0] if problems else "")
        batch.note_ending(Ending(word, answered, problem or word, rejected), list(results.values()))

    async def _follow(self, step: Step, batch: Batch, ending: Ending) -> None:
        """Submit again what an ended batch left unanswered."""
        left = unanswered(step, batch)
        if not self._submits or batch.facts.asked != asked_of(self._service):
            left = []  # the settings have changed: what is still wanted is for the next submission to tell
        if left and not batch.is_told and self._is_trouble(batch, ending):
            return
        if left and ending.failed and self._others_under_way(batch):
            return  # the vendor may take it when it has less to do
        if left:
            self._hold_only_answered(step, batch)
            await self._submitter.submit(step, left, 0 if batch.is_told else batch.facts.round + 1)
        batch.note_followed()

    def _trouble(self, step: Step) -> Exception | None:
        """What the user is to be told, once, before it is tried again."""
        for batch in step.open_batches():
            ending = batch.ending
            if (
                not self._submits
                or ending is None
                or batch.is_followed
                or batch.is_told
                or not self._is_trouble(batch, ending)
            ):
                continue
            with step.held(UNREACHABLE_SECONDS):
                batch.note_told()
            calls = batch.facts.calls
            if ending.rejected:
                count = len(ending.rejected)
                return InputError(f"{self._title}: {ending.problem} ({count} of {calls} calls of a batch). {TOLD}")
            return ServiceError(
                f"{self._title}: {calls - ending.answered} calls were not answered in {batch.facts.round + 1} "
                f"batches: {ending.problem} (retries: {self._service.retries}). {TOLD}"
            )
        return None

    def _is_trouble(self, batch: Batch, ending: Ending) -> bool:
        """Whether the user must know before what a batch left unanswered is submitted again."""
        if ending.answered == batch.facts.calls:
            return False
        is_last = batch.facts.round >= self._service.retries
        was_canceled = "cancel" in f"{ending.word} {ending.problem}".lower()
        return bool(ending.rejected) or is_last or was_canceled

    def _others_under_way(self, batch: Batch) -> bool:
        return any(
            other.ending is None
            for step in steps_of(self._name, self._state)
            for other in step.open_batches()
            if other.folder != batch.folder
        )

    def _hold_only_answered(self, step: Step, batch: Batch) -> None:
        """Give back what was held for calls that were not answered; they are held again with their next batch."""
        if self._budget is not None:
            answered, spent = batch.answers(), 0.0
            for call in batch.calls():
                answers = [replace(answer, batch=True) for answer in answered.get(call.id, [])]
                charged = priced(answers, call.request.messages, call.record["schema"], self._service.price)
                spent += sum(answer.dollars or 0.0 for answer in charged)
            Ledger(self._budget, step.journal, self._service).reduce(batch.name, spent)

    def _release(self, step: Step, batch: Batch) -> None:
        if self._budget is not None:
            Ledger(self._budget, step.journal, self._service).release(batch.name)

    @property
    def _title(self) -> str:
        return f"service {self._name} ({self._service.provider}, {self._service.model})"


def is_settled(step: Step) -> bool:
    """Whether all that the step's batches were asked is answered, or in the journal."""
    return all(batch.is_followed for batch in step.open_batches())


def unanswered(step: Step, batch: Batch) -> list[Call]:
    """The calls of an ended batch that have no answer and are in no later batch of the step."""
    answered = set(batch.answers())
    left = {call.id: call for call in batch.calls() if call.id not in answered}
    facts = batch.facts
    if left:
        for other in step.open_batches():
            if other.facts.since > facts.since:
                for call in other.calls():
                    left.pop(call.id, None)
    return list(left.values())


class _Lines:
    """Tells how far a step's batches are, when it has changed, and now and then."""

    def __init__(self, label: str) -> None:
        self._label, self._last, self._at = label, "", 0.0

    def tell(self, step: Step, note: str) -> None:
        batches = step.open_batches()
        calls = sum(batch.facts.calls for batch in batches if batch.facts.round == 0)
        answered = sum(ending.answered for batch in batches if (ending := batch.ending))
        under_way = [batch for batch in batches if batch.ending is None]
        done = answered + sum(status.done for batch in under_way if (status := batch.status))
        words = sorted({status.word for batch in under_way if (status := batch.status)})
        line = (
            f"{self._label}: {len(batches) - len(under_way)} of {len(batches)} batches ended, {done} of {calls} calls"
        )
        line += "".join(f", {word}" for word in [*words, note] if word)
        if line == self._last and time.monotonic() - self._at < LINE_SECONDS:
            return
        self._last, self._at = line, time.monotonic()
        ages = [now() - datetime.fromisoformat(batch.facts.since) for batch in under_way]
        if ages:
            line += f"; the oldest for {timedelta(seconds=int(max(ages).total_seconds()))}"
            if max(ages) > LONGEST_AGE:
                line += " (longer than vendors promise; `scripts/batches.py cancel` ends it, and what it has is kept)"
        print(line, file=sys.stderr, flush=True)
