"""What a cycle trains on: the train split, then the first rows of the pool."""

from collections.abc import Sequence

from llamaduo.cli.errors import InputError
from llamaduo.storage.tables import Row

COVERAGE_ORIGIN = "coverage"
"""The origin of rows that the user gave; that of a synthetic row is its generator's name."""


def build_dataset(train: Sequence[Row], pool: Sequence[Row] | None, volume: int, include_train: bool) -> list[Row]:
    """The rows of a volume's dataset under `DATASET`; that of a smaller volume is a prefix of it.

    Raises `InputError` when the pool has fewer rows than the volume, or nothing is left to train on.
    """
    synthetic = [] if pool is None else list(pool[:volume])
    if len(synthetic) < volume:
        held = "there is no pool" if pool is None else f"the pool holds {len(pool)}"
        raise InputError(f"a volume of {volume} synthetic samples is wanted, but {held}")
    rows = [_row(row, COVERAGE_ORIGIN, row["prompt_id"]) for row in train] if include_train else []
    rows += [_row(row, row["generators"], row["prompt_ids"]) for row in synthetic]
    if not rows:
        raise InputError(
            "nothing to train on: the volume is 0 and the train split is left out (training.include_train)"
        )
    return rows


def _row(row: Row, origin: str, prompt_id: str) -> Row:
    return {"messages": row["messages"], "category": row["category"], "origin": origin, "prompt_id": prompt_id}
