"""Put together what a cycle trains on: the train split and the first rows of the pool."""

from pathlib import Path

from llamaduo.cli.program import run
from llamaduo.storage import tables
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.schemas.dataset import DATASET
from llamaduo.storage.schemas.synthesis import POOL
from llamaduo.training.dataset import build_dataset


def main(train: Path, volume: int, output: Path, pool: Path | None = None, include_train: bool = True) -> None:
    """Build the dataset of one volume.

    Args:
        train: parquet file with the task's train split
        volume: synthetic samples to take from the pool
        output: parquet file to write the dataset to
        pool: parquet file with the pool; not needed for a volume of 0
        include_train: whether the train split is part of the dataset
    """
    accepted = None if pool is None else tables.read_rows(pool, POOL)
    rows = build_dataset(tables.read_rows(train, COVERAGE), accepted, volume, include_train)
    tables.write_rows(output, rows, DATASET)


if __name__ == "__main__":
    run(main, __doc__)
