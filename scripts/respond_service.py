"""Have a service LLM answer the test prompts itself, K times each: the baseline that local LLMs are to match."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from llamaduo.cli.program import run
from llamaduo.config.asking import AskingStep
from llamaduo.config.services import ServiceSettings


def main(
    *,
    prompts: Path,
    service_name: str,
    service: ServiceSettings,
    asking: AskingStep,
    output: Path,
    samples: Annotated[int, Field(ge=1)] = 4,
) -> None:
    """Respond to test prompts; answers that the journal already has are not asked for again.

    Args:
        prompts: parquet table of the coverage dataset's test split
        service_name: name of the service LLM, as it stands in the column model_id
        service: the service LLM
        output: parquet table of responses
        samples: K, responses per test prompt
        asking: how calls are recorded and paid for: journals, costs, batches, budget, and the step's name in them
    """
    from llamaduo.cli.errors import InputError
    from llamaduo.inference.service_responses import requests, responses
    from llamaduo.service.interface import Answer
    from llamaduo.service.step import ask_for_step
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
        "baseline",
        service,
        asked,
        as_it_is,
        asking,
        label,
        output=output,
    )
    if outcomes is None:
        return
    write_rows(output, responses(rows, samples, outcomes, service_name, service.model), RESPONSES)


if __name__ == "__main__":
    run(main, __doc__)
