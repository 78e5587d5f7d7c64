"""The course of a training: progress, validations, checkpoints, the best weights, and when to stop."""

import math
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from llamaduo.cli.errors import InputError
from llamaduo.cli.progress import Progress
from llamaduo.config.training import TrainingSettings
from llamaduo.storage.files import atomic_folder, write_json
from llamaduo.storage.lease import Lease
from llamaduo.training import together
from llamaduo.training.adapter_folder import save_weights
from llamaduo.training.checkpoints import KEPT, best_kept, seal
from llamaduo.training.continuation import advance
from llamaduo.training.deadline import Deadline
from llamaduo.training.steps import steps_per_epoch
from llamaduo.training.trainer import DIVERGED, FineTuner

FORWARD_SHARE = 0.34
"""Of a training step's time, what a validation of as many examples is taken to need before one was measured."""


class Course(TrainerCallback):
    """Says when to validate, save and stop; keeps the best weights and seals checkpoints.

    `held`: on one process; `record`: of the attempts, which is told of checkpoints.
    """

    def __init__(
        self,
        trainer: FineTuner,
        settings: TrainingSettings,
        folder: Path,
        held: Lease | None,
        deadline: Deadline,
        record: Path,
    ) -> None:
        self.trainer, self.settings, self.folder, self.held, self.record = trainer, settings, folder, held, record
        self.deadline, self.pace = deadline, deadline.pace
        self.progress: Progress | None = None
        self.saved_at = self.work_began = time.monotonic()
        self.first_step = 0
        self.unfinished: str | None = None
        self.hopeless: str | None = None
        self.stopped_early = False

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes."""
        return together.process() == 0

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.trainer._total_train_tokens = self.trainer.tokens_before
        if self.writes:
            self.progress = Progress("train", state.max_steps, "step", done=state.global_step)
            self.progress.__enter__()
        self.saved_at, self.first_step = time.monotonic(), state.global_step

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.work_began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        step, last = state.global_step, state.global_step >= state.max_steps
        self.pace.step = max(self.pace.step, self._since_then())
        if self.trainer.held_out:
            every = self.settings.evaluate_every
            epoch = steps_per_epoch(len(self.trainer.learned), self.trainer.per_step)
            control.should_evaluate = last or step % (epoch if every == "epoch" else every) == 0
            forward = FORWARD_SHARE * self.pace.step * len(self.trainer.held_out) / self.trainer.per_step
            self.pace.validation = max(self.pace.validation, forward)
        if last:
            return
        reason = self.deadline.reason_to_stop()
        due = time.monotonic() - self.saved_at >= 60 * self.settings.checkpoint_minutes
        late = reason is not None and self.deadline.signals.received is None
        stop, late, due = together.any_of([reason is not None, late, due], args.device)
        if stop:
            self.unfinished = reason or "another process of this training has to stop"
            self.hopeless = self._too_short(state) if late else None
            control.should_training_stop = True
        control.should_save = stop or due

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        latest = state.log_history[-1]
        if "loss" not in latest:
            return
        if not math.isfinite(latest["loss"]):
            raise InputError(f"the loss is {latest['loss']} at step {state.global_step}: {DIVERGED}")
        if self.progress is not None:
            self.progress.advance(note=f"loss={latest['loss']:.3f}")

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: dict[str, float], **_: Any
    ) -> None:
        self._stop_early(state, control)
        if self.settings.keep == "best":
            self._keep_if_best(state, metrics["eval_loss"])
        self.pace.validation = max(self.pace.validation, self._since_then())

    def _since_then(self) -> float:
        """Seconds of the work that is just done: a step, a validation or a checkpoint."""
        began, self.work_began = self.work_began, time.monotonic()
        return self.work_began - began

    def _too_short(self, state: TrainerState) -> str | None:
        """Why jobs of this length will not finish the training: each has time for one step, and more are left."""
        left = state.max_steps - state.global_step
        if state.global_step - self.first_step > 1 or left <= self.settings.continuations:
            return None
        return (
            f"this job had time for one step: {self.unfinished}; {left} steps are left, and training.continuations is "
            f"{self.settings.continuations}: give the rule finetune a longer runtime (--set-resources finetune:runtime="
            "MINUTES, or in the profile); the checkpoint is kept"
        )

    def _stop_early(self, state: TrainerState, control: TrainerControl) -> None:
        losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
        since_best = len(losses) - 1 - losses.index(min(losses))
        if self.settings.patience is not None and since_best >= self.settings.patience:
            self.stopped_early, self.unfinished, self.hopeless = True, None, None
            control.should_training_stop = True
            control.should_save = False  # the training ends here; a checkpoint would be continued beyond

    def _keep_if_best(self, state: TrainerState, eval_loss: float) -> None:
        weights = self.trainer.gathered_weights()
        before = best_kept(self.folder)
        if not self.writes or (before is not None and before.eval_loss <= eval_loss):
            return
        self._check_lease()
        with atomic_folder(self.folder / f"best-{state.global_step}") as folder:
            save_weights(self.trainer.accelerator.unwrap_model(self.trainer.model), folder, weights)
            write_json(folder / KEPT, {"step": state.global_step, "eval_loss": eval_loss})
        if before is not None:
            shutil.rmtree(before.folder)  # of a full fine-tuning each is a whole model

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        together.wait()  # each process writes its random state into the checkpoint
        if self.writes:
            self._check_lease()
            seal(self.folder / f"checkpoint-{state.global_step}", {"tokens": self.trainer.trained_tokens()})
            advance(self.record)
        self.pace.save = max(self.pace.save or 0.0, self._since_then())
        self.saved_at = time.monotonic()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.progress is not None:
            self.progress.__exit__(None, None, None)
        if self.stopped_early and self.writes:
            print(f"stopped early at step {state.global_step} (training.patience)", file=sys.stderr, flush=True)

    def _check_lease(self) -> None:
        if self.held is not None:
            self.held.check()
