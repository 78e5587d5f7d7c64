"""Have a generator write one chunk of synthetic samples from seeds of the train split."""

import sys
from pathlib import Path

from llamaduo import tables
from llamaduo.config.services import ServiceSettings
from llamaduo.config.synthesis import SynthesisSettings
from llamaduo.program import run
from llamaduo.prompts import GENERATOR_PLACEHOLDERS, PromptText, check
from llamaduo.schemas.coverage import COVERAGE
from llamaduo.schemas.synthesis import SYNTHESIS


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
    """
    check(prompts, GENERATOR_PLACEHOLDERS, "prompts")
    rows = tables.read_rows(train, COVERAGE)

    from llamaduo.synthesis.chunks import chunk_calls
    from llamaduo.synthesis.seeds import calls
    from llamaduo.synthesis.synthesize import synthesize

    drawn = calls(
        rows,
        chunk_calls(chunk, settings),
        seeds_per_call=settings.seeds_per_call,
        task=task,
        generator=generator,
        seed=seed,
    )
    label = f"{task} {generator} chunk {chunk}"
    written = synthesize(
        drawn,
        generator=generator,
        service=service,
        settings=settings,
        prompts=prompts,
        topic=topic or task,
        journal=journal,
        label=label,
        earlier=sorted(set(journal.parent.glob("*.jsonl")) - {journal}),
    )
    tables.write_rows(output, written, SYNTHESIS)
    failed = sum(row["messages"] is None for row in written)
    print(f"{label}: {len(written) - failed} pairs, {failed} answers not or not wholly usable", file=sys.stderr)


if __name__ == "__main__":
    run(main, __doc__)
