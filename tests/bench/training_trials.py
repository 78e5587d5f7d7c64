"""One way or another to train the same model on the same examples in the same order, timed step by step."""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "unit")]

import torch
from transformers import PrinterCallback, TrainerCallback
from transformers.utils import logging
from trl import SFTConfig, SFTTrainer

from llamaduo.config.training import TrainingSettings
from llamaduo.training import hardware
from llamaduo.training.batches import tokens
from llamaduo.training.examples import Example
from llamaduo.training.steps import steps_of_epoch
from llamaduo.training.trainer import FineTuner, as_dataset, examples_per_step, options

WARM_UP = 2
"""Steps that are not counted: kernels are chosen and memory is taken in the first."""
logging.set_verbosity_error()


class Clock(TrainerCallback):
    """Seconds, seconds on the clock, and loss of each optimiser step."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.wall_seconds: list[float] = []
        self.losses: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.began, self.wall_began = now(), time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(now() - self.began)
        self.wall_seconds.append(time.perf_counter() - self.wall_began)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" in logs:
            self.losses.append(logs["loss"])


def now() -> float:
    """Seconds: of a clock, once a GPU has done what it was given; else of the processor, whatever else it has to do."""
    if not torch.cuda.is_available():
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def steps_of(examples: Sequence[Example], settings: TrainingSettings) -> list[list[Example]]:
    """The examples of each step of the first epoch."""
    numbers = steps_of_epoch(len(examples), examples_per_step(settings), settings.seed, 0)
    return [[examples[number] for number in step] for step in numbers]


def ours(model: Any, tokenizer: Any, settings: TrainingSettings, examples: Sequence[Example]) -> tuple[Clock, Any]:
    """This project's trainer; returns its times and losses, and how it chose to train."""
    with tempfile.TemporaryDirectory() as folder:
        given = options(settings, Path(folder), hardware.optimiser(settings), hardware.uses_liger(settings))
        trainer = FineTuner(
            model=model,
            tokenizer=tokenizer,
            settings=settings,
            chosen=hardware.choose(model, settings, examples, sharded=False),
            footprint=hardware.first_footprint(settings),
            learned=examples,
            held_out=[],
            folder=Path(folder),
            options=given,
        )
        clock = Clock()
        trainer.add_callback(clock)
        trainer.train()
        return clock, hardware.described(trainer.chosen, trainer.footprint)


def trl_defaults(model: Any, tokenizer: Any, settings: TrainingSettings, examples: Sequence[Example]) -> Clock:
    """TRL's SFTTrainer as it comes: padded batches, its default attention and optimiser, activation checkpointing."""
    in_order = [example for step in steps_of(examples, settings) for example in step]
    gpu = torch.cuda.is_available()
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(
                output_dir=folder,
                use_cpu=not gpu,
                bf16=gpu,
                learning_rate=settings.learning_rate,
                lr_scheduler_type=settings.schedule,
                warmup_steps=settings.warmup,
                max_grad_norm=settings.max_grad_norm,
                max_steps=settings.max_steps or -1,
                per_device_train_batch_size=settings.batch_size,
                gradient_accumulation_steps=settings.gradient_accumulation,
                activation_checkpointing=gpu,  # TRL's default; no use on a CPU
                train_sampling_strategy="sequential",
                seed=settings.seed,
                max_length=None,
                dataset_kwargs={"skip_prepare_dataset": True},
                logging_steps=1,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=as_dataset(in_order),
            processing_class=tokenizer,
        )
        clock = Clock()
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(clock)
        trainer.train()
    return clock


def tokens_per_second(clock: Clock, examples: Sequence[Example], settings: TrainingSettings) -> float:
    """Tokens of the examples, padding not counted, per second of training."""
    counted = steps_of(examples, settings)[WARM_UP : len(clock.seconds)]
    return sum(map(tokens, counted)) / sum(clock.seconds[WARM_UP:])
