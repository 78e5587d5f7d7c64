"""Have a service LLM answer the test prompts itself, K times each: the baseline that local LLMs are to match."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from llamaduo.cli.program import run
from llamaduo.config.budget import BudgetSettings
from llamaduo.config.services import ServiceSettings


def main(
    *,
    prompts: Path,
    service_name: str,
    service: ServiceSettings,
    journal: Path,
    output: Path,
    samples: Annotated[int, Field(ge=1)] = 4,
    budget: BudgetSettings | None = None,
    costs: Path | None = None,
    about: dict[str, str | int] | None = None,
    batches: Path | None = None,
    step: str = "",
    submitted: Path | None = None,
) -> None:
    """Respond to test prompts; answers that the journal already has are not asked for again.

    Args:
        prompts: parquet table of the coverage dataset's test split
        service_name: name of the service LLM, as it stands in the column model_id
        service: the service LLM
        journal: append-only file of all service calls
        output: parquet table of responses
        samples: K, responses per test prompt
        budget: what all steps of the workflow may spend; the step stops before the call that would exceed it
        costs: parquet table of what the answers cost
        about: what the costs are about, by task, generator, model, volume and chunk
        batches: folder of all steps' batches, under way and ended
        step: the step's place in that folder
        submitted: only submit what is missing to the vendor's batch API, then write this file
    """
    from llamaduo.cli.errors import InputError
    from llamaduo.inference.service_responses import requests, responses
    from llamaduo.service.budget.usage import costs_row
    from llamaduo.service.interface import Answer
    from llamaduo.service.step import ask_for_step
    from llamaduo.storage.schemas.costs import COSTS
    from llamaduo.storage.schemas.coverage import COVERAGE
    from llamaduo.storage.schemas.responses import RESPONSES
    from llamaduo.storage.tables import read_rows, write_rows

    def as_it_is(answer: Answer) -> Answer:
        return answer

    rows = read_rows(prompts, COVERAGE)
    if not rows:
        raise InputError(f"{prompts}: no rows; there is nothing to respond to")
    asked = requests(rows, samples, service.generation.baseline)
    label = f"responses of {service_name}"
    outcomes = ask_for_step(
        service_name,
        service,
        asked,
        as_it_is,
        journal,
        label,
        budget=budget,
        batches=batches,
        step=step,
        submitted=submitted,
    )
    if outcomes is None:
        return
    if costs is not None:
        write_rows(costs, [costs_row("baseline", service_name, service, asked, outcomes, about or {})], COSTS)
    write_rows(output, responses(rows, samples, outcomes, service_name, service.model), RESPONSES)


if __name__ == "__main__":
    run(main, __doc__)
