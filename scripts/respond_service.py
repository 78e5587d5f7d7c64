"""Have a service LLM answer the test prompts itself, K times each: the baseline that local LLMs are to match."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from llamaduo.config.services import ServiceSettings
from llamaduo.program import run


def main(
    *,
    prompts: Path,
    service_name: str,
    service: ServiceSettings,
    journal: Path,
    output: Path,
    samples: Annotated[int, Field(ge=1)] = 4,
) -> None:
    """Respond to test prompts; answers that the journal already has are not asked for again.

    Args:
        prompts: parquet table of the coverage dataset's test split
        service_name: name of the service LLM, as it stands in the column model_id
        service: the service LLM
        journal: append-only file of all service calls
        output: parquet table of responses
        samples: K, responses per test prompt
    """
    from llamaduo.errors import InputError
    from llamaduo.inference.service_responses import requests, responses
    from llamaduo.schemas.coverage import COVERAGE
    from llamaduo.schemas.responses import RESPONSES
    from llamaduo.service.client import ask_all
    from llamaduo.service.interface import Answer
    from llamaduo.tables import read_rows, write_rows

    def as_it_is(answer: Answer) -> Answer:
        return answer

    rows = read_rows(prompts, COVERAGE)
    if not rows:
        raise InputError(f"{prompts}: no rows; there is nothing to respond to")
    asked = requests(rows, samples, service.generation.baseline)
    outcomes = ask_all(service_name, service, asked, as_it_is, journal, f"responses of {service_name}")
    write_rows(output, responses(rows, samples, outcomes, service_name, service.model), RESPONSES)


if __name__ == "__main__":
    run(main, __doc__)
