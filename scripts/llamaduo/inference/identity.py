"""Which model it was that gave a response: a hash of the weights and of what they are multiplied by."""

import re
from pathlib import Path

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.models.weights import base_folder, model_folder
from llamaduo.storage.canonical import digest, digest_file
from llamaduo.storage.files import read_json

# Where a model was loaded or saved from, and by which version: no part of what it computes.
PROVENANCE = ("_name_or_path", "base_model_name_or_path", "revision", "transformers_version", "peft_version")
SHA256 = re.compile("[0-9a-f]{64}")


def model_sha(model: ModelSettings, adapter: Path | None) -> str:
    """64 hexadecimal digits over the weights of the model, with the adapter (or the full fine-tuning) if given.

    Equal for equal weights, wherever they lie. Raises `InputError` when a folder is missing.
    """
    folder = adapter
    if folder is None and model.kind == "adapter":
        folder = model_folder(model.path, model.revision)
    if folder is None:
        return weights_digest(base_folder(model))
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder (the adapter that finetune.py writes)")
    if (folder / "adapter_config.json").is_file():
        return digest([weights_digest(base_folder(model)), weights_digest(folder)], length=64)
    return weights_digest(folder)


def weights_digest(folder: Path) -> str:
    """The SHA-256 over a folder's safetensors files and its config.json or adapter_config.json, in hexadecimal."""
    parts: dict[str, object] = {path.name: _file_digest(path) for path in sorted(folder.glob("*.safetensors"))}
    for name in ("config.json", "adapter_config.json"):
        if (folder / name).is_file():
            config = read_json(folder / name)
            parts[name] = {key: value for key, value in config.items() if key not in PROVENANCE}
    return digest(parts, length=64)


def _file_digest(path: Path) -> str:
    """A file's SHA-256; the Hub's cache names large files by it, which saves reading them."""
    blob = path.resolve().name
    return blob if path.is_symlink() and SHA256.fullmatch(blob) else digest_file(path)
