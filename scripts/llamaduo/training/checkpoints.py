"""An unfinished training's folder: which checkpoints are whole, which weights were the best so far."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.models.weights import base_folder
from llamaduo.storage.canonical import digest, digest_file, digest_folder
from llamaduo.storage.files import read_json, write_json
from llamaduo.workflow.fingerprint import fingerprint_of_module, installed_versions

COSMETIC = (
    "activation_checkpointing",
    "checkpoint_minutes",
    "continuations",
    "failures",
    "hardware",
    "include_train",
    "report_to",
    "warm_start",
)
"""Settings that change no weight (but by the rounding of sums), or whose effect is in the dataset or in the adapter
that is started from."""
PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes")
CODE = "llamaduo.training.finetune"
NOT_IN_CODE = ("llamaduo.storage", "llamaduo.training.adapter_folder")
"""Modules that no weight depends on: how files are read and written, and how the finished adapter is saved."""
SEAL = "complete.json"
KEPT = "kept.json"


def state_key(dataset: Path, model: ModelSettings, settings: TrainingSettings, warm_start: Path | None) -> str:
    """What an unfinished training may be continued under: the same data, weights, settings, code and packages."""
    folder = base_folder(model)
    weights = {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in folder.iterdir() if file.is_file()}
    return digest(
        {
            "dataset": digest_file(dataset),
            "weights": weights if folder == Path(model.path).expanduser() else str(folder.name),
            "model": model.model_dump(mode="json", exclude={"generation", "path", "chat_template"}),
            "template": digest_file(model.chat_template) if model.chat_template else None,
            "settings": settings.model_dump(mode="json", exclude=set(COSMETIC)),
            "warm_start": digest_folder(warm_start, "*.safetensors") if warm_start else None,
            "packages": installed_versions(PACKAGES),
            "code": fingerprint_of_module(CODE, NOT_IN_CODE),
        }
    )


def seal(checkpoint: Path, facts: dict[str, Any]) -> None:
    """Mark a checkpoint as whole: the digests of its files, and facts that the trainer does not keep itself."""
    for file in checkpoint.rglob("*"):
        if file.is_file():
            with file.open("rb") as written:
                os.fsync(written.fileno())
    files = {str(file.relative_to(checkpoint)): digest_file(file) for file in _files(checkpoint)}
    write_json(checkpoint / SEAL, {"files": files, "facts": facts})


def newest_whole(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The last checkpoint whose files are what they were when it was sealed, and its facts; broken ones are removed."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=_step, reverse=True):
        try:
            sealed = read_json(checkpoint / SEAL)
            if all(digest_file(checkpoint / name) == found for name, found in sealed["files"].items()):
                return checkpoint, sealed["facts"]
        except (OSError, ValueError, KeyError):
            pass
        shutil.rmtree(checkpoint)
    return None


def _step(checkpoint: Path) -> int:
    number = checkpoint.name.rpartition("-")[2]
    return int(number) if number.isdigit() else -1


def _files(checkpoint: Path) -> list[Path]:
    return sorted(file for file in checkpoint.rglob("*") if file.is_file() and file.name != SEAL)


class Kept(NamedTuple):
    """Weights that were saved when their validation loss was the lowest so far."""

    folder: Path
    step: int
    eval_loss: float


def best_kept(folder: Path) -> Kept | None:
    """The weights with the lowest validation loss that an unfinished training's folder has."""
    found = []
    for place in folder.glob("best-*"):
        try:
            facts = json.loads((place / KEPT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        found.append(Kept(place, facts["step"], facts["eval_loss"]))
    return min(found, key=lambda kept: (kept.eval_loss, kept.step), default=None)
