"""Curate generated pairs: rules, exact and near duplicates, ROUGE-L novelty, decontamination; every rejection kept."""

from pathlib import Path

from llamaduo.cli.errors import InputError
from llamaduo.cli.program import run
from llamaduo.config.curation import FILTERS, CurationSettings, FilterName


def main(
    *,
    input: list[Path],
    output: Path | None = None,
    folder: Path | None = None,
    rejected: Path | None = None,
    funnel: Path | None = None,
    diversity: Path | None = None,
    train: Path | None = None,
    test: Path | None = None,
    pool: Path | None = None,
    settings: CurationSettings = CurationSettings(),  # noqa: B008 - frozen
    filters: str | None = None,
    rouge_threshold: float | None = None,
    state: Path | None = None,
    threads: int | None = None,
) -> None:
    """Write the rows that are kept, in input order with all their columns.

    Args:
        input: Parquet or JSON lines with the columns instruction and response, or messages; several files in the
            order in which they were generated.
        output: The rows kept; .parquet, or .jsonl.
        folder: In place of output, rejected, funnel and diversity: the folder for pool.parquet, rejected.parquet,
            funnel.json and diversity.json.
        rejected: The other rows, with reason, matched_id and score; .parquet, or .jsonl.
        funnel: How many rows each stage left and each reason took, as JSON.
        diversity: How varied the kept rows are, and what each input file added, as JSON.
        train: Pairs that the kept rows are not to repeat: the train split.
        test: Pairs that must not leak into the kept rows: the test split.
        pool: Rows that were kept earlier and are not to be repeated.
        settings: The settings of the filters as JSON.
        filters: Which filters to use, separated by commas: rules, exact, minhash, novelty, decontamination.
        rouge_threshold: ROUGE-L F (0 to 1) of the instruction above which a row is not novel; in place of that of
            the settings.
        state: Folder in which decisions and indexes are remembered, so that more input files after the same ones go
            on from there. It can be removed at any time.
        threads: Threads that compare rows, by default one per processor core of this process. They change no result.
    """
    from llamaduo.curation.curate_files import curate_files
    from llamaduo.curation.pair_files import check_format

    if rouge_threshold is not None:
        if not 0 <= rouge_threshold <= 1:
            raise InputError(f"rouge_threshold: {rouge_threshold:g} is not between 0 and 1")
        settings = settings.model_copy(update={"rouge_threshold": rouge_threshold})
    if threads is not None and threads < 1:
        raise InputError(f"threads: {threads} is not 1 or more")
    names = settings.filters if filters is None else _filter_names(filters)
    if folder is not None:
        output, rejected = folder / "pool.parquet", folder / "rejected.parquet"
        funnel, diversity = folder / "funnel.json", folder / "diversity.json"
    if output is None:
        raise InputError("--output or --folder is needed: where the rows kept go")
    for path in filter(None, (output, rejected)):
        check_format(path)
    curated = curate_files(input, train, test, pool, settings, names, state, threads)
    curated.write(output, rejected, funnel, diversity)
    print("curate:", ", ".join(f"{stage['stage']} {stage['rows']}" for stage in curated.funnel["stages"]))


def _filter_names(text: str) -> list[FilterName]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in FILTERS]
    if unknown:
        raise InputError(f"filters: {', '.join(map(repr, unknown))} not known; choose from {', '.join(FILTERS)}")
    return [name for name in FILTERS if name in names]


if __name__ == "__main__":
    run(main, __doc__)
