"""How long a GPU works for a local LLM and what it puts on disk, from the model's size."""

import json
import re
from pathlib import Path

from llamaduo.config.estimate import EstimateSettings
from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings

BILLION = 1e9
SIZE_IN_NAME = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s*b(?![a-z0-9])|[-_](\d+(?:\.\d+)?)b(?![a-z0-9])", re.IGNORECASE)
ASSUMED_BILLIONS = 7.0
OPERATIONS = {"qlora": 6, "lora": 6, "full": 8}
"""Per token and parameter: forward 2, again 2 for the activations that were not kept, backward 2 for them, and 2
more for the weights' gradients where all weights are trained (Kaplan et al., 2020, arXiv 2001.08361, section 2.1)."""
BYTES_PER_WEIGHT = 2  # bf16
ADAPTER_SHARE = 0.0004
"""Weights of an adapter of rank 1 on all linear layers, as a share of the model's (about 0.3 % at rank 8)."""
ADAPTER_BYTES = 4  # fp32
CHECKPOINT_ADAPTERS = 3
"""A training's checkpoint holds the adapter and two moments of each of its weights."""


def billions(name: str, model: ModelSettings, settings: EstimateSettings) -> float:
    """A model's size in 10^9 parameters: as configured, by its files, by its name, or assumed."""
    if name in settings.parameters:
        return settings.parameters[name]
    path = model.base or model.path
    folder = Path(path).expanduser()
    if folder.is_dir():
        weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        return weights / _bytes_per_weight(folder) / BILLION
    found = SIZE_IN_NAME.search(path)
    return float(found[1] or found[2]) if found else ASSUMED_BILLIONS


def training_hours(size: float, tokens: float, training: TrainingSettings, settings: EstimateSettings) -> float:
    """GPU hours of one fine-tuning on so many tokens per epoch. `size`: 10^9 parameters."""
    operations = OPERATIONS[training.method] * size * BILLION * tokens * training.epochs
    return operations / (settings.training_tflops * 1e12) / 3600 + settings.load_minutes / 60


def decoding_hours(size: float, tokens: float, settings: EstimateSettings) -> float:
    """GPU hours of writing so many tokens. `size`: 10^9 parameters."""
    return tokens * size / settings.decoding_rate / 3600 + settings.load_minutes / 60


def weights_bytes(size: float) -> float:
    """Disk of a whole model of `size` 10^9 parameters."""
    return size * BILLION * BYTES_PER_WEIGHT


def training_bytes(size: float, training: TrainingSettings) -> float:
    """Disk of what a training leaves: the adapter, or all weights, and a checkpoint beside it."""
    if training.method == "full":
        return weights_bytes(size) * (1 + CHECKPOINT_ADAPTERS)
    adapter = size * BILLION * ADAPTER_SHARE * training.lora.r * ADAPTER_BYTES
    return adapter * (1 + CHECKPOINT_ADAPTERS)


def _bytes_per_weight(folder: Path) -> int:
    try:
        kind = json.loads((folder / "config.json").read_text()).get("torch_dtype")
    except (OSError, ValueError):
        return BYTES_PER_WEIGHT
    return 4 if kind == "float32" else BYTES_PER_WEIGHT
