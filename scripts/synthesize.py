"""Have a generator write one chunk of synthetic samples from seeds of the train split."""

import sys
from pathlib import Path

from llamaduo.cli.program import run
from llamaduo.config.budget import BudgetSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.config.synthesis import SynthesisSettings
from llamaduo.service.prompts import GENERATOR_PLACEHOLDERS, PromptText, check
from llamaduo.storage import tables
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.schemas.synthesis import SYNTHESIS


def main(
    *,
    train: Path,
    task: str,
    generator: str,
    service: ServiceSettings,
    settings: SynthesisSettings,
    prompts: PromptText,
    chunk: int,
    journal: Path,
    output: Path,
    topic: str | None = None,
    seed: int = 42,
    budget: BudgetSettings | None = None,
    costs: Path | None = None,
    batches: Path | None = None,
    step: str = "",
    submitted: Path | None = None,
) -> None:
    """Ask the generator for one chunk of pairs.

    Args:
        train: parquet file with the task's train split, from which seeds are drawn
        task: the task's name; with generator and seed it determines the order of the seeds
        generator: the service's name in the config
        service: how to reach it, a value of the config's section `services`
        settings: the config's section `synthesis`
        prompts: the generator's prompt, an object with system and user
        chunk: the chunk's number, from 0
        journal: file that every call that was paid for is appended to; answers in the other .jsonl files of its
            folder, the other chunks' journals, are used and not paid for again
        output: parquet file to write the synthetic samples to
        topic: what the task is about; by default its name
        seed: seed of the order of the seeds
        budget: what all steps of the workflow may spend; the step stops before the call that would exceed it
        costs: parquet table of what the answers cost
        batches: folder of all steps' batches, under way and ended
        step: the step's place in that folder
        submitted: only submit what is missing to the vendor's batch API, then write this file
    """
    check(prompts, GENERATOR_PLACEHOLDERS, "prompts")
    rows = tables.read_rows(train, COVERAGE)

    from llamaduo.service.budget.metering import metered
    from llamaduo.service.step import ask_for_step
    from llamaduo.storage.schemas.costs import COSTS
    from llamaduo.synthesis.answers import read_answer
    from llamaduo.synthesis.chunks import chunk_calls
    from llamaduo.synthesis.seeds import calls
    from llamaduo.synthesis.synthesize import requests
    from llamaduo.synthesis.synthesize import rows as rows_of

    drawn = calls(
        rows,
        chunk_calls(chunk, settings),
        seeds_per_call=settings.seeds_per_call,
        task=task,
        generator=generator,
        seed=seed,
    )
    label = f"{task} {generator} chunk {chunk}"
    asked = requests(drawn, service, settings, prompts, topic or task)
    earlier = sorted(set(journal.parent.glob("*.jsonl")) - {journal})
    outcomes = ask_for_step(
        generator,
        service,
        asked,
        read_answer,
        journal,
        label,
        budget=budget,
        batches=batches,
        step=step,
        submitted=submitted,
        earlier=earlier,
    )
    if outcomes is None:
        return
    written = rows_of(drawn, generator, outcomes)
    if costs is not None:
        about: dict[str, str | int] = {"task": task, "generator": generator, "chunk": chunk}
        tables.write_rows(costs, [metered("generator", generator, service, asked, outcomes, about)], COSTS)
    tables.write_rows(output, written, SYNTHESIS)
    failed = sum(row["messages"] is None for row in written)
    print(f"{label}: {len(written) - failed} pairs, {failed} answers not or not wholly usable", file=sys.stderr)


if __name__ == "__main__":
    run(main, __doc__)
