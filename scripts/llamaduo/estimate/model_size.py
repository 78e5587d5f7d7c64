"""How large a local LLM is: its parameters, its weights, and what a training leaves of it on disk."""

import json
import re
from pathlib import Path

from llamaduo.config.estimate import EstimateSettings
from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings

BILLION = 1e9
SIZE_IN_NAME = re.compile(r"(?<![A-Za-z0-9.])(\d+(?:\.\d+)?)\s*b(?![A-Za-z0-9])", re.IGNORECASE)
ASSUMED_BILLIONS = 8.0
BYTES_PER_WEIGHT = 2  # bf16
ADAPTER_SHARE = 0.0004
"""Weights of an adapter of rank 1 on all linear layers, as a share of the model's (about 0.3 % at rank 8)."""
ADAPTER_BYTES = 4  # fp32
CHECKPOINT_ADAPTERS = 3
"""A training's checkpoint holds the adapter and two moments of each of its weights."""


def billion_parameters(name: str, model: ModelSettings, settings: EstimateSettings) -> float:
    """A model's size in 10^9 parameters: as configured, by its files, by its path ("7b"), or assumed.

    An adapter's is that of the model which it was tuned from.
    """
    if name in settings.billion_parameters:
        return settings.billion_parameters[name]
    path = model.base or model.path
    folder = Path(path).expanduser()
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors")) if folder.is_dir() else 0
    if weights:
        return weights / _bytes_per_weight(folder) / BILLION
    told = SIZE_IN_NAME.search(path)
    return float(told[1]) if told else ASSUMED_BILLIONS


def weights_bytes(size: float) -> float:
    """What a whole model of `size` 10^9 parameters takes, on disk or in memory, in 16 bits."""
    return size * BILLION * BYTES_PER_WEIGHT


def training_bytes(size: float, training: TrainingSettings) -> float:
    """Disk of what a training leaves: the adapter, or all weights, and a checkpoint beside it."""
    if training.method == "full":
        return weights_bytes(size) * (1 + CHECKPOINT_ADAPTERS)
    adapter = size * BILLION * ADAPTER_SHARE * training.lora.r * ADAPTER_BYTES
    return adapter * (1 + CHECKPOINT_ADAPTERS)


def _bytes_per_weight(folder: Path) -> int:
    try:
        config = json.loads((folder / "config.json").read_text())
        kind = config.get("dtype") or config.get("torch_dtype")
    except (OSError, ValueError):
        return BYTES_PER_WEIGHT
    return 4 if kind == "float32" else BYTES_PER_WEIGHT
