"""Put what ended batches answered into the step's journal, under the very keys of single calls."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from llamaduo.config.budget import BudgetSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.service.batches.records import Batch, Step
from llamaduo.service.budget.cost import priced
from llamaduo.service.budget.ledger import Ledger
from llamaduo.service.journal.journal import Entry, Journal
from llamaduo.storage.canonical import canonical

AT_ONCE = 1000
"""Answers that go to disk together."""


async def collect(step: Step, service: ServiceSettings, journal: Journal, budget: BudgetSettings | None) -> int:
    """Append the answers of the step's ended batches to its journal, and return how many were new.

    The step is held. An answer that the journal has is not appended again, so a kill in the middle does no harm.
    """
    new = 0
    for batch in step.open_batches():
        if batch.ending is None:
            continue
        missing = (entry for entry in _entries(batch, service) if journal.get(entry.key) is None)
        while entries := list(islice(missing, AT_ONCE)):
            await journal.append_all(entries)
            new += len(entries)
        if batch.is_followed:
            batch.note_collected()
            if budget is not None:
                Ledger(budget, step.journal, service).release(batch.name)
    return new


def _entries(batch: Batch, service: ServiceSettings) -> Iterator[Entry]:
    """What the journal is to hold of a batch's answers."""
    answered = batch.answers()
    for call in batch.calls():
        answers = answered.get(call.id, [])
        if answers and answers[0].not_begun:
            # It stands for all samples, and was charged once.
            free = replace(answers[0], prompt_tokens=0, cached_tokens=0, cache_write_tokens=0)
            answers = [answers[0], *[free] * (len(call.replicates) - 1)]
        in_batch = [replace(answer, batch=True) for answer in answers[: len(call.replicates)]]
        for place, answer in enumerate(priced(in_batch, call.request.messages, call.record["schema"], service.price)):
            yield Entry(call.key(place), canonical(call.record_of(place)), answer)
