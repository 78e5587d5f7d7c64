"""A fine-tuning in a folder, in this process or by its program, and the dataset that it is on."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.storage.schemas.dataset import DATASET
from llamaduo.storage.schemas.training import TRAINING
from llamaduo.storage.tables import read_rows, write_rows
from llamaduo.training.finetune import finetune

PROGRAM = Path(__file__).parents[2] / "scripts/finetune.py"


def write_dataset(path: Path, pairs: Sequence[tuple[str, str]]) -> Path:
    """The dataset of (prompt, response) pairs of the train split."""
    rows = [
        {
            "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}],
            "category": "Support",
            "origin": "train",
            "prompt_id": str(number),
        }
        for number, (prompt, response) in enumerate(pairs)
    ]
    write_rows(path, rows, DATASET)
    return path


def train(
    folder: Path, dataset: Path, model: ModelSettings, settings: Mapping[str, Any], **options: Any
) -> list[dict[str, Any]]:
    """Fine-tune in this process; the rows of `training.parquet`."""
    finetune(
        dataset=dataset,
        model=model,
        settings=TrainingSettings.model_validate(settings),
        adapter=folder / "adapter",
        training=folder / "training.parquet",
        state=folder / "state",
        **options,
    )
    return read_rows(folder / "training.parquet", TRAINING)


def command(folder: Path, dataset: Path, model: ModelSettings, settings: Mapping[str, Any]) -> list[str]:
    """The program's command line for the same."""
    return [
        *(sys.executable, str(PROGRAM), "--dataset", str(dataset), "--model", model.model_dump_json()),
        *("--settings", json.dumps(settings), "--adapter", str(folder / "adapter")),
        *("--training", str(folder / "training.parquet"), "--state", str(folder / "state")),
    ]
