"""One fine-tuning, from a dataset and a base model to an adapter; a killed one goes on where its state ends."""

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.models.chat import load_tokenizer
from llamaduo.storage.canonical import canonical
from llamaduo.storage.files import atomic_folder, write_json
from llamaduo.storage.lease import Lease, lease
from llamaduo.storage.schemas.dataset import DATASET
from llamaduo.storage.schemas.training import TRAINING
from llamaduo.storage.tables import Row, read_rows, write_rows
from llamaduo.training.adapter_folder import copy_weights, save_tokenizer, save_weights
from llamaduo.training.checkpoints import COSMETIC, best_kept, newest_whole, state_key
from llamaduo.training.continuation import finish, record_of
from llamaduo.training.deadline import Deadline, Pace, StopSignals, Unfinished, end_of_job
from llamaduo.training.examples import Encoded, Example, check_rows, encode, split
from llamaduo.training.mask import check_mask, show_mask
from llamaduo.training.processes import is_main, is_sharded

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

    from llamaduo.training.trainer import FineTuner

PROVENANCE = "training-machine.json"
"""The record of what a training ran on and how, beside its table."""
CHECKED_EXAMPLES = 200
"""The mask check renders and decodes; so many examples, spread over the dataset, show a wrong template."""


def finetune(
    *,
    dataset: Path,
    model: ModelSettings,
    settings: TrainingSettings,
    adapter: Path,
    training: Path,
    state: Path,
    warm_start: Path | None = None,
    time_limit: float | None = None,
    job_began: float | None = None,
) -> None:
    """Fine-tune `model` on `dataset` and write the folder `adapter` and the table `training`.

    An unfinished training is kept under `state`, in a folder named after all that determines it. On one computer the
    same inputs give the same bytes, interrupted or not. Beside `training` stand TensorBoard files and a record of the
    machine, which nothing reads. `time_limit` is in minutes from the start of the job, `job_began`.

    Under `accelerate launch` every process calls this; one of them writes. Raises `InputError` for data, model or
    settings that cannot be trained with, before a step is made, and for jobs that are too short; `Unfinished` when a
    signal or the end of the job stopped the training at a checkpoint.
    """
    if model.kind != "base":
        raise InputError(f"{model.path}: a model of the kind {model.kind!r} is judged and not trained")
    with StopSignals() as signals:
        rows = read_rows(dataset, DATASET)
        check_rows(rows, str(dataset))
        tokenizer = load_tokenizer(model)
        encoded = encode(tokenizer, rows, settings, str(dataset))
        learned, held_out = split(encoded.examples, rows, settings.validation_share)
        if settings.hardware.processes > len(learned):
            raise InputError(
                f"training.hardware.processes is {settings.hardware.processes}, and {dataset} has {len(learned)} "
                "example(s) to train on: no more processes than examples"
            )
        check_masks(tokenizer, rows, encoded.examples, str(dataset))
        facts = _facts(rows, encoded, learned, held_out)
        if is_main():
            _announce(model, settings, facts, tokenizer, learned[0])

        folder = state / state_key(dataset, model, settings, warm_start)
        deadline = Deadline(end_of_job(time_limit, job_began), signals, Pace())
        with lease(folder, "the training in this folder") if is_main() else nullcontext() as held:
            trainer = _train(
                model=model,
                settings=settings,
                tokenizer=tokenizer,
                learned=learned,
                held_out=held_out,
                folder=folder,
                warm_start=warm_start,
                held=held,
                deadline=deadline,
                record=record_of(state, adapter),
                tensorboard=training.with_name("tensorboard"),
            )
            weights = trainer.gathered_weights()
            if held is None:
                return
            held.check()
            kept = best_kept(folder)
            with atomic_folder(adapter) as saved:
                if kept is None:
                    save_weights(trainer.accelerator.unwrap_model(trainer.model), saved, weights)
                else:
                    copy_weights(kept.folder, saved)
                save_tokenizer(tokenizer, saved)
                facts |= {
                    "steps": trainer.state.global_step,
                    "trained_tokens": trainer.trained_tokens(),
                    "kept_step": kept.step if kept else trainer.state.global_step,
                    "kept_eval_loss": kept.eval_loss if kept else None,
                    "warm_start": warm_start is not None,
                }
                write_json(
                    saved / "training.json",
                    {
                        "base": {"path": model.path, "revision": model.revision, "family": model.family},
                        "method": settings.method,
                        "settings": settings.model_dump(mode="json", exclude=set(COSMETIC)),
                        **facts,
                    },
                )
            write_rows(training, training_rows(trainer.state.log_history), TRAINING)
            attempts = finish(record_of(state, adapter))
            write_json(training.with_name(PROVENANCE), {**trainer.provenance(), "attempts": attempts})
            shutil.rmtree(folder, ignore_errors=True)


def _train(
    *,
    model: ModelSettings,
    settings: TrainingSettings,
    tokenizer: "Tokenizer",
    learned: list[Example],
    held_out: list[Example],
    folder: Path,
    warm_start: Path | None,
    held: Lease | None,
    deadline: Deadline,
    record: Path,
    tensorboard: Path,
) -> "FineTuner":
    from llamaduo.training import hardware, together
    from llamaduo.training.course import Course
    from llamaduo.training.model import name_base, start
    from llamaduo.training.trackers import add_tensorboard, check_trackers
    from llamaduo.training.trainer import FineTuner, options

    _quiet_libraries()
    check_trackers(settings.report_to)
    trainer_options = options(settings, folder, hardware.optimiser(settings), hardware.uses_liger(settings))
    _ = trainer_options.device  # asked for, it becomes that of all that this process loads
    sharded = is_sharded(model, settings)
    if held is not None and newest_whole(folder) is None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(tensorboard, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    together.wait()
    checkpoint = newest_whole(folder)
    loaded = start(model, settings, warm_start, sharded)
    name_base(loaded, model)
    chosen = hardware.choose(loaded, settings, learned, sharded)
    trainer = FineTuner(
        model=loaded,
        tokenizer=tokenizer,
        settings=settings,
        chosen=chosen,
        footprint=hardware.first_footprint(settings).saved(folder),
        learned=learned,
        held_out=held_out,
        folder=folder,
        options=trainer_options,
    )
    course = Course(trainer, settings, folder, held, deadline, record)
    trainer.add_callback(course)
    if held is not None:
        add_tensorboard(trainer, tensorboard)
        print(f"hardware: {canonical(trainer.provenance())}", file=sys.stderr, flush=True)
    if checkpoint is None:
        trainer.train()
    else:
        path, sealed = checkpoint
        if held is not None:
            print(f"continuing from {path}", file=sys.stderr, flush=True)
        trainer.tokens_before = sealed["tokens"]
        trainer.train(resume_from_checkpoint=str(path))
    if course.hopeless:
        raise InputError(course.hopeless)
    if course.unfinished:
        raise Unfinished(
            f"stopped at step {trainer.state.global_step} of {trainer.state.max_steps}, with a checkpoint: "
            f"{course.unfinished}"
        )
    return trainer


def _quiet_libraries() -> None:
    """Leave out what the libraries say about each other's deprecations, which no user of this program can act on."""
    import warnings

    from transformers.utils import logging

    logging.set_verbosity_error()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers|peft|trl")


def check_masks(tokenizer: "Tokenizer", rows: Sequence[Row], examples: Sequence[Example], source: str) -> None:
    """`check_mask` on examples spread over the dataset; the error names the row."""
    step = max(1, len(examples) // CHECKED_EXAMPLES)
    for example in examples[::step]:
        try:
            check_mask(tokenizer, rows[example.row]["messages"], example.input_ids.tolist(), example.labels.tolist())
        except InputError as error:
            raise InputError(f"{source}: row {example.row}: {error}") from error


def training_rows(history: Sequence[dict[str, Any]]) -> list[Row]:
    """One row per optimiser step of a trainer's log; validation losses stand in the row of their step."""
    rows: dict[int, Row] = {}
    for entry in history:
        row = rows.setdefault(entry["step"], {"step": entry["step"], "epoch": entry["epoch"]})
        row |= {name: entry[name] for name in ("loss", "eval_loss", "learning_rate") if name in entry}
        if "num_tokens" in entry:
            row["tokens"] = int(entry["num_tokens"])
    return [row for _, row in sorted(rows.items()) if "loss" in row or "eval_loss" in row]


def _facts(
    rows: Sequence[Row], encoded: Encoded, learned: Sequence[Example], held_out: Sequence[Example]
) -> dict[str, Any]:
    return {
        "origins": dict(Counter(row["origin"] for row in rows)),
        "training_examples": len(learned),
        "validation_examples": len(held_out),
        "shortened_prompts": encoded.shortened,
        "dropped_rows": encoded.dropped,
        "longest_example": max(len(example.input_ids) for example in encoded.examples),
    }


def _announce(
    model: ModelSettings, settings: TrainingSettings, facts: dict[str, Any], tokenizer: "Tokenizer", example: Example
) -> None:
    """Print what will be done, before it takes hours."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    lines = [f"fine-tuning {model.path} ({settings.method}) on {device}"]
    lines += [f"  {name}: {value}" for name, value in settings.model_dump(mode="json").items()]
    lines.append(
        f"  an optimiser step: {settings.batch_size * settings.gradient_accumulation} examples "
        f"on {settings.hardware.processes} process(es)"
    )
    lines.append(f"  examples: {facts['training_examples']} to train on, {facts['validation_examples']} to validate on")
    if facts["shortened_prompts"]:
        lines.append(f"  over max_length: {facts['shortened_prompts']} examples got a shortened prompt")
    if facts["dropped_rows"]:
        lines.append(f"  over max_length: {len(facts['dropped_rows'])} rows are left out")
    if settings.validation_share and not facts["validation_examples"]:
        lines.append("  no prompt falls into the validation share: the last weights are kept")
    lines += ["the first example; the loss covers what is between ⟦ and ⟧:"]
    lines.append(show_mask(tokenizer, example.input_ids.tolist(), example.labels.tolist()))
    print("\n".join(lines), file=sys.stderr, flush=True)
