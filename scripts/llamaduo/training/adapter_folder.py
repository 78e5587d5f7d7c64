"""A fine-tuned model's folder: safetensors and configs whose bytes depend on the training alone."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamaduo.storage.files import write_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

CONFIGS = ("adapter_config.json", "config.json", "generation_config.json", "tokenizer_config.json")
NOT_CONTENT = ("transformers_version", "peft_version", "name_or_path", "_name_or_path", "local_files_only", "is_local")
"""What the libraries note about themselves and the computer."""


def save_weights(model: Any, folder: Path, weights: dict[str, Any] | None = None) -> None:
    """Write an adapter (PEFT) or a whole model as safetensors, with its config.

    `weights`: the model's, where it does not hold them itself because processes share them out.
    """
    model.save_pretrained(str(folder), **({} if weights is None else {"state_dict": weights}))
    (folder / "README.md").unlink(missing_ok=True)
    tidy_configs(folder)


def save_tokenizer(tokenizer: "Tokenizer", folder: Path) -> None:
    """Write a tokenizer and its chat template."""
    tokenizer.save_pretrained(str(folder))
    tidy_configs(folder)


def tidy_configs(folder: Path) -> None:
    """Take versions and paths out of a folder's configs and put sets into order: equal content, equal bytes."""
    for name in CONFIGS:
        if not (folder / name).is_file():
            continue
        config = json.loads((folder / name).read_text(encoding="utf-8"))
        for key in NOT_CONTENT:
            config.pop(key, None)
        for key in ("target_modules", "exclude_modules", "modules_to_save"):
            if isinstance(config.get(key), list):
                config[key] = sorted(config[key])
        write_json(folder / name, config)


def copy_weights(source: Path, folder: Path) -> None:
    """Copy saved weights and their config."""
    for file in sorted(source.iterdir()):
        if file.suffix == ".safetensors" or file.name in CONFIGS or file.name.endswith(".safetensors.index.json"):
            shutil.copyfile(file, folder / file.name)
