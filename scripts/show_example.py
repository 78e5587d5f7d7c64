"""Print a training example as the model gets it, with what the loss covers marked, after checking its mask."""

import sys
from pathlib import Path

from llamaduo.cli.program import run
from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings

PRESET = TrainingSettings()


def main(*, dataset: Path, model: ModelSettings, settings: TrainingSettings = PRESET, row: int = 0) -> None:
    """Show an example.

    Args:
        dataset: Parquet table of conversations.
        model: The base model: path, revision, family.
        settings: The training settings, of which max_length and overlong matter here.
        row: Which row, counted from 0.
    """
    from llamaduo.cli.errors import InputError
    from llamaduo.models.chat import load_tokenizer
    from llamaduo.storage.schemas.dataset import DATASET
    from llamaduo.storage.tables import read_rows
    from llamaduo.training.examples import check_rows, encode
    from llamaduo.training.mask import check_mask, show_mask

    rows = read_rows(dataset, DATASET)
    if not 0 <= row < len(rows):
        raise InputError(f"{dataset}: no row {row}; it has {len(rows)}, counted from 0")
    check_rows(rows[row : row + 1], f"{dataset} from row {row} on")
    tokenizer = load_tokenizer(model)
    (example,) = encode(tokenizer, rows[row : row + 1], settings, f"{dataset} from row {row} on").examples
    ids, labels = example.input_ids.tolist(), example.labels.tolist()
    print(show_mask(tokenizer, ids, labels, colour=sys.stdout.isatty()))
    print(f"\n{len(ids)} tokens, {example.completion} of them learned{', prompt shortened' * example.shortened}")
    check_mask(tokenizer, rows[row]["messages"], ids, labels)
    print("mask: exactly the last response, up to the end-of-turn token; BOS as it should be")


if __name__ == "__main__":
    run(main, __doc__)
