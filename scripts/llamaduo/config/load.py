"""From a config's plain values to validated settings, with messages that name file and key."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from llamaduo.config.root import Config
from llamaduo.errors import InputError
from llamaduo.program import describe


def validate(values: Any, where: str) -> Config:
    """The config made from plain values; raises `InputError` with a line per wrong key."""
    if not isinstance(values, dict):
        raise InputError(f"{where}: a mapping of keys is expected, not {type(values).__name__}")
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise InputError(describe(error, where, Config)) from error


def load(path: Path) -> Config:
    """The config in a YAML file."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such config file") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML: {error}") from error
    return validate(values, str(path))
