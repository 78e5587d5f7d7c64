"""Curate generated pairs: rules, exact and near duplicates, ROUGE-L novelty, decontamination; every rejection kept."""

from pathlib import Path

from llamaduo.config.curation import FILTERS, CurationSettings, FilterName
from llamaduo.errors import InputError
from llamaduo.program import run


def main(
    *,
    input: list[Path],
    output: Path,
    rejected: Path | None = None,
    funnel: Path | None = None,
    train: Path | None = None,
    test: Path | None = None,
    pool: Path | None = None,
    settings: CurationSettings = CurationSettings(),  # noqa: B008 - frozen
    filters: str | None = None,
    rouge_threshold: float | None = None,
) -> None:
    """Write the rows that are kept, in input order with all their columns.

    Args:
        input: Parquet or JSON lines with the columns instruction and response, or messages; several files in the
            order in which they were generated.
        output: The rows kept; .parquet, or .jsonl.
        rejected: The other rows, with reason, matched_id and score; .parquet, or .jsonl.
        funnel: How many rows each stage left and each reason took, as JSON.
        train: Pairs that the kept rows are not to repeat: the train split.
        test: Pairs that must not leak into the kept rows: the test split.
        pool: Rows that were kept earlier and are not to be repeated.
        settings: The settings of the filters as JSON.
        filters: Which filters to use, separated by commas: rules, exact, minhash, novelty, decontamination.
        rouge_threshold: ROUGE-L F (0 to 1) of the instruction above which a row is not novel; in place of that of
            the settings.
    """
    from llamaduo.curation.pair_files import check_format, read_pair_files
    from llamaduo.files import write_json

    if rouge_threshold is not None:
        if not 0 <= rouge_threshold <= 1:
            raise InputError(f"rouge_threshold: {rouge_threshold:g} is not between 0 and 1")
        settings = settings.model_copy(update={"rouge_threshold": rouge_threshold})
    names = settings.filters if filters is None else _filter_names(filters)
    for path in filter(None, (output, rejected)):
        check_format(path)
    pairs = read_pair_files(input)
    known = {path: read_pair_files([path]).rows if path else [] for path in (train, test, pool)}

    from llamaduo.curation.curate import curate

    curated = curate(pairs.rows, known[train], known[test], settings, names, pool=known[pool])
    pairs.write(output, curated.kept)
    if rejected is not None:
        pairs.write_rejected(rejected, curated.rejected)
    if funnel is not None:
        write_json(funnel, curated.funnel)
    print("curate:", ", ".join(f"{stage['stage']} {stage['rows']}" for stage in curated.funnel["stages"]))


def _filter_names(text: str) -> list[FilterName]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in FILTERS]
    if unknown:
        raise InputError(f"filters: {', '.join(map(repr, unknown))} not known; choose from {', '.join(FILTERS)}")
    return [name for name in FILTERS if name in names]


if __name__ == "__main__":
    run(main, __doc__)
