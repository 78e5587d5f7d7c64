"""Fine-tuning: the method, its hyperparameters (presets: the paper's), validation and checkpoints."""

from typing import Literal

from pydantic import Field

from llamaduo.config.base import Section


class LoraSettings(Section):
    """The low-rank adapters (Hu et al., 2021)."""

    r: int = Field(default=8, ge=1)
    """Rank of the update of each weight matrix."""
    alpha: int = Field(default=16, ge=1)
    """Scale of the update: it is multiplied by alpha / r."""
    dropout: float = Field(default=0.05, ge=0, lt=1)
    """Dropout on the adapters' input while training."""
    target_modules: Literal["all-linear"] | list[str] = "all-linear"
    """The layers that get an adapter; `all-linear`: every linear layer except the output."""


class TrainingSettings(Section):
    """How a model is fine-tuned on one dataset."""

    method: Literal["qlora", "lora", "full"] = "qlora"
    """`qlora`: adapters on a base in 4 bits (nf4, double quantisation); `lora`: on the base as it is; `full`: all
    weights."""
    learning_rate: float = Field(default=2e-4, gt=0, le=1)
    """Highest learning rate of the schedule."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after the warm-up."""
    warmup: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps over which the learning rate rises from 0."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay of AdamW."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""
    epochs: float = Field(default=10, gt=0)
    """Passes over the training data; not used where `max_steps` is given."""
    max_steps: int | None = Field(default=None, ge=1)
    """Number of optimiser steps, whatever the size of the dataset."""
    batch_size: int = Field(default=4, ge=1)
    """Examples per forward pass."""
    gradient_accumulation: int = Field(default=2, ge=1)
    """Forward passes per optimiser step."""
    max_length: int = Field(default=1024, ge=16)
    """Longest example, in tokens."""
    overlong: Literal["shorten", "drop", "error"] = "shorten"
    """An example over `max_length`: `shorten` takes tokens out of the middle of its prompt (never of its response) and
    drops it when the response leaves too little room; `drop` leaves it out; `error` stops. Counted in training.json."""
    lora: LoraSettings = LoraSettings()
    """The adapters of the methods qlora and lora."""
    include_train: bool = True
    """Whether the coverage dataset's train split is part of the data, beside the synthetic samples."""
    warm_start: bool = False
    """Start from the adapter of the volume before instead of from the base model."""
    validation_share: float = Field(default=0.05, ge=0, le=0.5)
    """Share of the dataset's prompts that is held out to measure the validation loss; never from the test split."""
    evaluate_every: Literal["epoch"] | int = "epoch"
    """When the validation loss is measured: after every epoch, or after so many optimiser steps."""
    keep: Literal["best", "last"] = "best"
    """Which weights are kept: those with the lowest validation loss, or the last."""
    seed: int = Field(default=42, ge=0)
    """Seed of the order of the data, the adapters' first values and dropout."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Number format of the computation; `auto`: bf16 on a GPU, fp32 on a CPU."""
    activation_checkpointing: bool = True
    """Compute activations again in the backward pass instead of keeping them: less memory, more time."""
    checkpoint_minutes: float = Field(default=10, ge=0)
    """Time between two checkpoints of an unfinished training; 0: after every step."""
