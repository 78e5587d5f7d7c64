"""A step that asks a service: through batches where they are to be used, and the rest at once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from llamaduo.config.asking import AskingStep
from llamaduo.config.services import ServiceSettings
from llamaduo.service.batches.asking import InBatches
from llamaduo.service.budget.ledger import opened
from llamaduo.service.budget.usage import costs_row
from llamaduo.service.client import ask_all
from llamaduo.service.interface import Answer, Outcome, Request
from llamaduo.storage.schemas.costs import COSTS
from llamaduo.storage.tables import write_rows
from llamaduo.workflow.layout import about, batches_place

T = TypeVar("T")


def ask_for_step(
    name: str,
    role: str,
    service: ServiceSettings,
    requests: Sequence[Request],
    accept: Callable[[Answer], T],
    asking: AskingStep,
    label: str,
    *,
    output: Path,
    earlier: Sequence[Path] = (),
) -> list[Outcome[T]] | None:
    """What became of each of a step's `requests`, as `ask_all` tells it; None where they were only submitted.

    `role`: that of the service `name`. `earlier`: journals in which answers are looked for as well. `output`: where
    a note is written when the requests are only submitted. Raises what `ask_all` and `InBatches` raise.
    """
    if asking.batches is not None:
        in_batches = InBatches(
            name,
            service,
            requests,
            accept,
            asking.journal,
            state=asking.batches,
            step=batches_place(asking.step),
            earlier=earlier,
            budget=asking.budget,
        )
        if asking.submit:
            in_batches.submit_and_note(output)
            return None
        in_batches.collect(label)
    with opened(asking.budget, asking.journal, service) as ledger:
        outcomes = ask_all(name, service, requests, accept, asking.journal, label, earlier, budget=ledger)
    if asking.costs is not None:
        row = costs_row(role, name, service, requests, outcomes, about(asking.step))
        write_rows(asking.costs / f"{asking.step}.parquet", [row], COSTS)
    return outcomes
