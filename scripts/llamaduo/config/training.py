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


class HardwareSettings(Section):
    """How a training uses the machine: its speed and memory, not what is learned (beyond the rounding of sums)."""

    processes: int = Field(default=1, ge=1)
    """Processes of one node that train together, each on a GPU of its own. An optimiser step is of as many examples as
    with one."""
    sharding: Literal["auto", "none", "fsdp"] = "auto"
    """Several processes: `none`: each has the whole model; `fsdp`: they share its weights out; `auto`: `fsdp` where the
    weights would take most of a GPU's memory."""
    layout: Literal["auto", "packed", "padded"] = "auto"
    """`packed`: the examples of a forward pass lie end to end, and each attends to itself alone; `padded`: they are
    padded to the longest; `auto`: packed where the model's attention can be kept within an example."""
    attention: Literal["auto", "flash_attention_3", "flash_attention_2", "varlen", "segments"] = "auto"
    """The kernel for packed examples: the flash-attn packages', PyTorch's own (`varlen`), or one call per example on
    any device (`segments`); `auto`: the first of these that works here."""
    tokens_per_pass: int | None = Field(default=None, ge=1)
    """Most tokens of a forward pass, padding included. Default: `batch_size` x `max_length`."""
    fused_optimiser: Literal["auto"] | bool = "auto"
    """AdamW in one kernel for all weights; `auto`: on a GPU."""
    liger: Literal["auto"] | bool = "auto"
    """The Liger kernels for norms, rotary positions and gated layers; `auto`: where the package is, on a GPU."""


class TrainingSettings(Section):
    """How a model is fine-tuned on one dataset."""

    UNCOMPARED = dict.fromkeys(("activation_checkpointing", "hardware"), "speed and memory: the same is learned") | {
        "checkpoint_minutes": "what an interruption costs",
        "continuations": "how often a stopped training is taken up again",
        "failures": "how often a failed training is tried again",
        "report_to": "who is told of the losses",
    }

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
    """Together with `gradient_accumulation`: an optimiser step is of batch_size x gradient_accumulation examples,
    however many GPUs there are and however many forward passes they take."""
    gradient_accumulation: int = Field(default=2, ge=1)
    """See `batch_size`."""
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
    patience: int | None = Field(default=None, ge=1)
    """Stop early, after so many validations in a row without a lower loss. Default: train to the end."""
    seed: int = Field(default=42, ge=0)
    """Seed of the order of the data, the adapters' first values and dropout."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """Number format of the computation; `auto`: bf16 on a GPU, fp32 on a CPU."""
    activation_checkpointing: Literal["auto"] | bool = "auto"
    """Compute activations again in the backward pass instead of keeping them: less memory, a third more time; `auto`:
    when memory runs out otherwise."""
    hardware: HardwareSettings = HardwareSettings()
    """How the training uses the machine."""
    checkpoint_minutes: float = Field(default=10, ge=0)
    """Time between two checkpoints of an unfinished training; 0: after every step."""
    continuations: int = Field(default=30, ge=0)
    """How often one start of the workflow continues a training that was stopped by its job's time limit, a signal or a
    kill: days of work in slots of a day. The same for all runs."""
    failures: int = Field(default=2, ge=0)
    """How often a training that failed for a reason that may pass (a GPU's or a disk's error) is tried again. Wrong
    data or settings are not. The same for all runs."""
    report_to: list[str] = Field(default=[])
    """Trackers beside the TensorBoard files, by the names that transformers knows: `wandb`, `mlflow`, `trackio` ...
    Their packages and keys are yours to set up."""
