"""What a training uses of the machine: decided once the model is loaded, by what is installed and works."""

import importlib.util
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from llamaduo.cli.errors import InputError
from llamaduo.config.training import TrainingSettings
from llamaduo.training import attention
from llamaduo.training.examples import Example
from llamaduo.training.memory import Footprint

PROBED_EXAMPLES = 3
"""So many short examples, packed, are compared with each alone before training."""
OPTIONAL_PACKAGES = ("flash-attn", "liger-kernel", "bitsandbytes", "accelerate", "torch", "transformers", "trl", "peft")


@dataclass(frozen=True)
class Chosen:
    """The ways that a training takes; each can be forced in `training.hardware`."""

    layout: str
    attention: str
    optimiser: str
    liger: bool
    processes: int
    sharded: bool


def optimiser(settings: TrainingSettings) -> str:
    """The optimiser's name as TRL knows it."""
    fused = settings.hardware.fused_optimiser
    return "adamw_torch_fused" if fused is True or (fused == "auto" and torch.cuda.is_available()) else "adamw_torch"


def uses_liger(settings: TrainingSettings) -> bool:
    """Whether the Liger kernels replace parts of the model. Raises `InputError` when they are asked for and missing."""
    installed = importlib.util.find_spec("liger_kernel") is not None
    if settings.hardware.liger is True and not installed:
        raise InputError("training.hardware.liger: the package liger-kernel is not installed; set it to auto")
    return settings.hardware.liger is True or (
        settings.hardware.liger == "auto" and installed and torch.cuda.is_available()
    )


def choose(model: Any, settings: TrainingSettings, examples: Sequence[Example], sharded: bool) -> Chosen:
    """Decide how a loaded model is trained, and set its attention accordingly.

    Raises `InputError` when something that was asked for is not sound for this model, or does not work here.
    """
    hardware = settings.hardware
    layout, before = "padded", attention.current(model)
    if hardware.layout != "padded":
        kernel = attention.choose(model, hardware.attention)
        if kernel is not None:
            attention.use(model, kernel)
            probed = sorted(examples, key=lambda example: len(example.input_ids))[:PROBED_EXAMPLES]
            if sharded or attention.is_isolated(model, probed, before):
                layout = "packed"
            else:
                attention.use(model, before)
        if layout == "padded" and hardware.layout == "packed":
            raise InputError(
                f"training.hardware.layout: the attention of {model.config.get_text_config().model_type} cannot be "
                "kept within an example; set it to auto or padded"
            )
    return Chosen(
        layout, attention.current(model), optimiser(settings), uses_liger(settings), hardware.processes, sharded
    )


def first_footprint(settings: TrainingSettings) -> Footprint:
    """What a training first tries to keep in memory at once."""
    checkpointing = settings.activation_checkpointing
    return Footprint(
        tokens_per_pass=settings.hardware.tokens_per_pass or settings.batch_size * settings.max_length,
        activation_checkpointing=checkpointing is True,
        may_checkpoint=checkpointing == "auto",
    )


def machine() -> dict[str, Any]:
    """The computer and the packages, for the record beside a result."""
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    found = {}
    for name in OPTIONAL_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "host": platform.node(),
        "gpus": gpus,
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "packages": found,
        "peak_gpu_bytes": torch.cuda.max_memory_allocated() if gpus else None,
    }


def described(chosen: Chosen, footprint: Footprint) -> dict[str, Any]:
    """The chosen ways as plain values."""
    return {**asdict(chosen), **asdict(footprint)}
