"""Have a generator write one chunk of synthetic samples from seeds of the train split."""

import sys
from pathlib import Path

from llamaduo.cli.program import run
from llamaduo.config.asking import AskingStep
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
    asking: AskingStep,
    output: Path,
    topic: str | None = None,
    seed: int = 42,
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
        output: parquet file to write the synthetic samples to
        topic: what the task is about; by default its name
        seed: seed of the order of the seeds
        asking: how calls are recorded and paid for: journals, costs, batches, budget, and the step's name in them.
            Answers in the journals of the other chunks, in the same folder, are used and not paid for again
    """
    check(prompts, GENERATOR_PLACEHOLDERS, "prompts")
    rows = tables.read_rows(train, COVERAGE)

    from llamaduo.service.step import ask_for_step
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
    earlier = sorted(set(asking.journal.parent.glob("*.jsonl")) - {asking.journal})
    outcomes = ask_for_step(
        generator,
        "generator",
        service,
        asked,
        read_answer,
        asking,
        label,
        output=output,
        earlier=earlier,
    )
    if outcomes is None:
        return
    written = rows_of(drawn, generator, outcomes)
    tables.write_rows(output, written, SYNTHESIS)
    failed = sum(row["messages"] is None for row in written)
    print(f"{label}: {len(written) - failed} pairs, {failed} answers not or not wholly usable", file=sys.stderr)


if __name__ == "__main__":
    run(main, __doc__)
