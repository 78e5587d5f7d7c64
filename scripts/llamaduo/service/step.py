"""What a step has to ask a service: through batches where they are to be used, and the rest at once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from llamaduo.config.budget import BudgetSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.service.batches.asking import InBatches
from llamaduo.service.budget.ledger import opened
from llamaduo.service.client import ask_all
from llamaduo.service.interface import Answer, Outcome, Request

T = TypeVar("T")


def ask_for_step(
    name: str,
    service: ServiceSettings,
    requests: Sequence[Request],
    accept: Callable[[Answer], T],
    journal: Path,
    label: str,
    *,
    budget: BudgetSettings | None = None,
    batches: Path | None = None,
    step: str = "",
    submitted: Path | None = None,
    earlier: Sequence[Path] = (),
) -> list[Outcome[T]] | None:
    """What became of each of a step's `requests`, as `ask_all` tells it; None where they were only to be submitted.

    `batches`: the folder of all steps' batches, and `step` the step's place in it; None asks everything at once.
    With `submitted` what is missing is handed to the vendor's batch API, and that file is written. `budget` is that
    of the whole workflow. Raises what `ask_all` and `InBatches` raise.
    """
    if batches is not None:
        in_batches = InBatches(
            name, service, requests, accept, journal, state=batches, step=step, earlier=earlier, budget=budget
        )
        if submitted is not None:
            in_batches.submit_and_note(submitted)
            return None
        in_batches.collect(label)
    with opened(budget, journal, service) as ledger:
        return ask_all(name, service, requests, accept, journal, label, earlier, budget=ledger)
