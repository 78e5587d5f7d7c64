"""TRL's trainer with this workflow's evaluations, checkpoints and progress."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import torch
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTConfig, SFTTrainer

from llamaduo.config.training import TrainingSettings
from llamaduo.files import atomic_folder, write_json
from llamaduo.lease import Lease
from llamaduo.progress import Progress
from llamaduo.training.adapter_folder import save_weights
from llamaduo.training.checkpoints import KEPT, best_kept, seal
from llamaduo.training.examples import Example

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
        learned: Sequence[Example],
        held_out: Sequence[Example],
        folder: Path,
        held: Lease,
    ) -> None:
        # SFTTrainer rounds the adapters of a quantised model to bf16, and a resumed training gets them back in fp32.
        as_given = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
        super().__init__(
            model=model,
            args=arguments(settings, folder),
            train_dataset=as_dataset(learned),
            eval_dataset=as_dataset(held_out) if held_out else None,
            processing_class=tokenizer,
        )
        for name, value in self.model.named_parameters():
            if name in as_given:
                value.data = as_given[name].to(value.device)
        self.remove_callback(PrinterCallback)
        self.add_callback(Course(self, settings, folder, held, validates=bool(held_out)))
        self.tokens_before = 0

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """No card for a checkpoint."""

    def trained_tokens(self) -> int:
        """Tokens that went through the model so far, padding not counted."""
        return int(self._total_train_tokens)


class Course(TrainerCallback):
    """Shows progress, says when to validate and when to save, keeps the best weights and seals checkpoints."""

    def __init__(
        self, trainer: FineTuner, settings: TrainingSettings, folder: Path, held: Lease, validates: bool
    ) -> None:
        self.trainer, self.settings, self.folder, self.held = trainer, settings, folder, held
        self.validates = validates
        self.progress: Progress | None = None
        self.saved_at = time.monotonic()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.trainer._total_train_tokens = self.trainer.tokens_before
        self.progress = Progress("train", state.max_steps, "step", done=state.global_step)
        self.progress.__enter__()
        self.saved_at = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        step, last = state.global_step, state.global_step >= state.max_steps
        if self.validates:
            every = self.settings.evaluate_every
            steps = steps_per_epoch(len(self.trainer.train_dataset), self.settings) if every == "epoch" else every
            control.should_evaluate = last or step % steps == 0
        if not last and time.monotonic() - self.saved_at >= 60 * self.settings.checkpoint_minutes:
            control.should_save = True

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        latest = state.log_history[-1]
        if self.progress is not None and "loss" in latest:
            self.progress.advance(note=f"loss={latest['loss']:.3f}")

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: dict[str, float], **_: Any
    ) -> None:
        if self.settings.keep != "best":
            return
        before = best_kept(self.folder)
        if before is not None and before.eval_loss <= metrics["eval_loss"]:
            return
        self.held.check()
        with atomic_folder(self.folder / f"best-{state.global_step}") as folder:
            save_weights(self.trainer.accelerator.unwrap_model(self.trainer.model), folder)
            write_json(folder / KEPT, {"step": state.global_step, "eval_loss": metrics["eval_loss"]})

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.held.check()
        seal(self.folder / f"checkpoint-{state.global_step}", {"tokens": self.trainer.trained_tokens()})
        self.saved_at = time.monotonic()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.progress is not None:
            self.progress.__exit__(None, None, None)


def steps_per_epoch(examples: int, settings: TrainingSettings) -> int:
    """Optimiser steps in one pass over the training data; the last one may be of fewer examples."""
    batches = -(-examples // settings.batch_size)
    return max(1, -(-batches // settings.gradient_accumulation))


def arguments(settings: TrainingSettings, folder: Path) -> SFTConfig:
    """The trainer's options: those of the settings, and none of its own saving, reporting and preparing."""
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
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.gradient_accumulation,
        activation_checkpointing=settings.activation_checkpointing,
        seed=settings.seed,
        data_seed=settings.seed,
        optim="adamw_torch",
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        dataloader_pin_memory=gpu,
        prediction_loss_only=True,
        logging_strategy="steps",
        logging_steps=1,
        eval_strategy="no",
        save_strategy="no",
        save_total_limit=CHECKPOINTS_KEPT,
        report_to="none",
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
