"""Cut one task's train and test split from the coverage dataset."""

import sys
from pathlib import Path

from llamaduo.cli.program import run
from llamaduo.config.coverage import CoverageSettings
from llamaduo.coverage.source import read_source
from llamaduo.coverage.tasks import task_splits
from llamaduo.storage import tables
from llamaduo.storage.schemas.coverage import COVERAGE


def main(settings: CoverageSettings, categories: list[str], train: Path, test: Path) -> None:
    """Read, check and split the coverage dataset.

    Args:
        settings: the config's section `coverage`: source, layout, splits
        categories: categories that make up the task; ["*"] or an empty list for every row
        train: parquet file to write the train split to
        test: parquet file to write the test split to
    """
    splits = task_splits(read_source(settings), settings, categories)
    tables.write_rows(train, splits.train, COVERAGE)
    tables.write_rows(test, splits.test, COVERAGE)
    print(f"coverage: {len(splits.train)} train and {len(splits.test)} test rows", file=sys.stderr)
    if splits.dropped:
        print(f"coverage: {splits.dropped} train rows left out: their prompts are in the test split", file=sys.stderr)


if __name__ == "__main__":
    run(main, __doc__)
