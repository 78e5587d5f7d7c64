"""TRL's trainer, given the examples of an optimiser step at a time, which it divides into passes that fit."""

import math
import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from peft.tuners.tuners_utils import BaseTunerLayer
from torch.nn.parallel import DistributedDataParallel
from transformers import PrinterCallback, TrainerControl
from trl import SFTConfig, SFTTrainer

from llamaduo.cli.errors import InputError
from llamaduo.config.training import TrainingSettings
from llamaduo.models.out_of_memory import free_memory, is_out_of_memory
from llamaduo.training import memory, together
from llamaduo.training.batches import StepLoader, learned_tokens, packed, padded, tokens
from llamaduo.training.deadline import Unfinished
from llamaduo.training.examples import Example
from llamaduo.training.hardware import Chosen, described, machine
from llamaduo.training.loss import summed_loss
from llamaduo.training.memory import Footprint
from llamaduo.training.steps import passes, shares

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

CHECKPOINTS_KEPT = 2
"""The last one, and the one before for when the last is found broken."""


class FineTuner(SFTTrainer):
    """SFTTrainer on examples that are encoded already; what it is told to train stays in the precision it came in."""

    def __init__(
        self,
        *,
        model: Any,
        tokenizer: "Tokenizer",
        settings: TrainingSettings,
        chosen: Chosen,
        footprint: Footprint,
        learned: Sequence[Example],
        held_out: Sequence[Example],
        folder: Path,
        options: SFTConfig,
    ) -> None:
        # SFTTrainer rounds the adapters of a quantised model to bf16, and a resumed training gets them back in fp32.
        as_given = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
        super().__init__(
            model=model,
            args=options,
            train_dataset=as_dataset(learned),
            eval_dataset=as_dataset(held_out) if held_out else None,
            processing_class=tokenizer,
        )
        for name, value in self.model.named_parameters():
            if name in as_given:
                value.data = as_given[name].to(value.device)
        if options.bf16:
            _leave_precision_to_autocast(self.model)
        self.remove_callback(PrinterCallback)
        self.settings, self.chosen, self.folder = settings, chosen, folder
        self.learned, self.held_out = list(learned), list(held_out)
        self.per_step = examples_per_step(settings)
        self.footprint = footprint
        self.padding = int(tokenizer.pad_token_id)
        self.tokens_before = 0
        if footprint.activation_checkpointing:
            self._checkpoint_activations()

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """No card for a checkpoint."""

    def trained_tokens(self) -> int:
        """Tokens that went through the model so far, in all processes, padding not counted."""
        return int(self._total_train_tokens)

    def gathered_weights(self) -> dict[str, Any] | None:
        """All weights, where the processes share them out; called by every process. None where the model has them."""
        return self.accelerator.get_state_dict(self.model) if self.chosen.sharded else None

    def provenance(self) -> dict[str, Any]:
        """What this training ran on, and how."""
        return {"machine": machine(), "chosen": described(self.chosen, self.footprint)}

    def get_train_dataloader(self) -> StepLoader:
        """The steps' examples; every process gets all, and takes its share when the step is made."""
        return StepLoader(self.learned, self.per_step, self.settings.seed)

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: a step's inputs are no tensors yet."""
        return 0

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Forward and backward for one optimiser step; returns its mean loss per learned token, of this process."""
        examples: list[Example] = inputs["examples"]
        model.train()
        share = [examples[place] for place in self._shares(examples)[together.process()]]
        loss = self._within_memory(lambda: self._gradients(model, examples), max(map(_length, share), default=0), model)
        if not self.chosen.sharded:
            together.sum_gradients(model.parameters())
        self._total_train_tokens += tokens(examples)
        self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        return loss * together.processes()  # the trainer logs the mean over the processes

    def _gradients(self, model: Any, examples: Sequence[Example]) -> torch.Tensor:
        total = learned_tokens(examples)
        loss = torch.zeros((), device=self.args.device)
        # Gradients are summed over the processes after the step, not pass by pass; sharded weights have to be at once.
        wrapped = isinstance(model, DistributedDataParallel)
        scale = together.processes() if self.chosen.sharded else 1
        for inputs in self._passes(examples):
            with model.no_sync() if wrapped else nullcontext():
                with self.compute_loss_context_manager():
                    part = summed_loss(model, inputs) / total
                self.accelerator.backward(part * scale)
            loss += part.detach()
        return loss

    def _shares(self, examples: Sequence[Example]) -> list[list[int]]:
        return shares([_length(example) for example in examples], together.processes())

    def _passes(self, examples: Sequence[Example]) -> list[dict[str, Any]]:
        """The inputs of this process's passes over its share of some examples."""
        divided = []
        for share in self._shares(examples):
            own = [examples[place] for place in share]
            lengths = [_length(example) for example in own]
            groups = passes(lengths, self.footprint.tokens_per_pass, self.chosen.layout == "padded")
            divided.append([self._inputs([own[place] for place in group]) for group in groups])
        mine = divided[together.process()]
        # Those who share weights gather them in step: whoever has fewer passes runs some that count for nothing.
        missing = max(map(len, divided)) - len(mine) if self.chosen.sharded else 0
        company = [min(examples, key=_length)]
        return mine + [self._inputs(company, learned=False) for _ in range(missing)]

    def _inputs(self, examples: Sequence[Example], learned: bool = True) -> dict[str, Any]:
        made = packed(examples, learned) if self.chosen.layout == "packed" else padded(examples, self.padding, learned)
        return {
            name: value.to(self.args.device) if isinstance(value, torch.Tensor) else value
            for name, value in made.items()
        }

    def _within_memory(self, work: Callable[[], torch.Tensor], longest: int, model: Any) -> torch.Tensor:
        """Do a step's work; when memory runs out, begin it again with less of it in memory at once."""
        while True:
            random_state = _random_state()
            try:
                return work()
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
            before = self.footprint
            self.footprint = before.smaller(longest)
            memory.tell(before, self.footprint, self.per_step)
            self.footprint.save(self.folder)
            if self.chosen.sharded:
                raise Unfinished("out of memory: the next attempt takes smaller passes", alone=True)
            model.zero_grad()
            _set_random_state(random_state)
            free_memory()
            if self.footprint.activation_checkpointing:
                self._checkpoint_activations()

    def _checkpoint_activations(self) -> None:
        self.model.gradient_checkpointing_enable({"use_reentrant": False})
        if hasattr(self.model, "enable_input_require_grads"):
            self.model.enable_input_require_grads()

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """The mean loss per learned token of the examples held out, whatever they are batched and shared out like."""
        self.model.eval()
        loss = self._within_memory(self._held_out_loss, max(map(_length, self.held_out)), self.model)
        found = together.summed(loss).item() / learned_tokens(self.held_out)
        if not math.isfinite(found):
            raise InputError(f"the validation loss is {found} at step {self.state.global_step}: {DIVERGED}")
        metrics = {"eval_loss": found}
        self.log(metrics)
        self.control: TrainerControl = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    @torch.no_grad()
    def _held_out_loss(self) -> torch.Tensor:
        loss = torch.zeros((), device=self.args.device, dtype=torch.float64)
        model = self.model_wrapped if self.chosen.sharded else self.model
        with self.compute_loss_context_manager():
            for inputs in self._passes(self.held_out):
                loss += summed_loss(model, inputs)
        return loss


DIVERGED = "the training diverged; lower training.learning_rate or max_grad_norm"


def examples_per_step(settings: TrainingSettings) -> int:
    """The examples of one optimiser step, over all processes and passes."""
    return settings.batch_size * settings.gradient_accumulation


def options(settings: TrainingSettings, folder: Path, optimiser: str, liger: bool) -> SFTConfig:
    """The trainer's options: those of the settings, and none of its own batching, saving, reporting and preparing."""
    gpu = torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(folder),
        use_cpu=not gpu,
        bf16=settings.precision == "bf16" or (settings.precision == "auto" and gpu),
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps or -1,
        per_device_train_batch_size=1,  # an item of the loader is a whole step
        gradient_accumulation_steps=1,
        activation_checkpointing=False,  # switched on by the trainer above where it is needed
        seed=settings.seed,
        data_seed=settings.seed,
        optim=optimiser,
        use_liger_kernel=liger,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        prediction_loss_only=True,
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="no",
        save_strategy="no",
        save_total_limit=CHECKPOINTS_KEPT,
        report_to=settings.report_to or "none",
        disable_tqdm=True,
    )


def as_dataset(examples: Sequence[Example]) -> Dataset:
    """Examples as the table that the trainer reads: input_ids and labels, lists of 32-bit integers."""
    ids = pa.list_(pa.int32())
    return Dataset(
        pa.table(
            {
                "input_ids": pa.array([example.input_ids for example in examples], ids),
                "labels": pa.array([example.labels for example in examples], ids),
            }
        )
    )


def _leave_precision_to_autocast(model: Any) -> None:
    """Have adapters take a layer's bf16 input as it is, which PEFT would turn into fp32 and autocast back into bf16.

    Of a step of LLaMA3 8B with LoRA that was 29 % of the time on an H200.
    """
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.cast_input_dtype_enabled = False


def _length(example: Example) -> int:
    return len(example.input_ids)


def _random_state() -> tuple[Any, ...]:
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return random.getstate(), np.random.get_state(), torch.get_rng_state(), cuda


def _set_random_state(state: tuple[Any, ...]) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.set_rng_state(state[2])
    if state[3] is not None:
        torch.cuda.set_rng_state(state[3])
