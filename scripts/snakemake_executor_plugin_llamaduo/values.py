"""The kinds of a site's values: how an option's text is read, and what is right."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llamaduo.cluster.queue import TIME, seconds_of

GPU_MODEL = re.compile(r"[\w.-]+")
FLAGS = {"true": True, "false": False}
AMBIGUOUS_MINUTES = 3600
"""YAML reads 24:00:00 as the number of seconds, which is a multiple of this."""
COUNTED_REQUESTS = ("mem_mb", "runtime", "threads")
REQUESTS = (
    *(*COUNTED_REQUESTS, "mem_mb_per_cpu", "cpus_per_task", "cpus_per_gpu", "gpu", "gpu_model"),
    *("gres", "tasks", "tasks_per_gpu", "nodes", "slurm_partition", "slurm_account", "qos", "constraint"),
    "slurm_extra",
)
"""What of a job's resources becomes an option of sbatch."""


class WrongValueError(ValueError):
    """Says what would be right."""


@dataclass(frozen=True)
class Kind:
    """`read` makes a value of an option's text; `checked` returns the value to use, or raises `WrongValueError`."""

    read: Callable[[Any], Any]
    checked: Callable[[Any], Any]


def count(unit: str, least: int = 1) -> Kind:
    """A whole number of something."""

    def checked(value: Any) -> int:
        if not _is_count(value, least):
            raise WrongValueError(f"must be a whole number of {unit}, {least} or more")
        return int(value)

    return Kind(_number, checked)


def _text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise WrongValueError("must be text in quotes, or null")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongValueError("must be true or false")
    return value


def _gpu_model(value: Any) -> str | None:
    if _text(value) is not None and not GPU_MODEL.fullmatch(value):
        raise WrongValueError("must be only the type, such as a100 of gpu:a100:4, or null")
    return _text(value)


def _gpu_option(value: Any) -> str:
    if value not in {"gpus", "gres"}:
        raise WrongValueError("must be gpus or gres")
    return str(value)


def _minutes(value: Any) -> int:
    """Also of a time as SLURM writes it: HOURS:MINUTES:SECONDS or DAYS-HOURS:MINUTES:SECONDS."""
    if isinstance(value, str) and value.count(":") == 2 and TIME.fullmatch(value):
        value = int(seconds_of(value) // 60)
    if not _is_count(value):
        raise WrongValueError("must be a whole number of minutes, 1 or more, or a time such as 1-00:00:00")
    return int(value)


def _minutes_of_option(text: str) -> Any:
    """A profile's 24:00:00 arrives as 86400: so no multiple of an hour in seconds is taken for minutes."""
    number = _number(text)
    if isinstance(number, int) and number and number % AMBIGUOUS_MINUTES == 0:
        days, rest = divmod(number, 24 * 60)
        hours, minutes = divmod(rest, 60)
        raise WrongValueError(
            f"is it a time, which YAML reads as seconds? Write {number // 60}, or '{number // 3600}:00:00' in quotes; "
            f"if minutes are meant, {days}-{hours:02}:{minutes:02}:00"
        )
    return number


def _gpus(value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping) or not all(map(_is_count, value.values())):
        raise WrongValueError("must name models with their numbers of GPUs, such as {llama3-8b: 4}")
    return dict(value)


def _requests(value: Any) -> dict[str, dict[str, int | str]]:
    if not isinstance(value, Mapping) or not all(isinstance(one, Mapping) for one in value.values()):
        raise WrongValueError("must name rules with what they ask for, such as {curate: {mem_mb: 64000}}")
    for asked in value.values():
        for name, amount in asked.items():
            if name not in REQUESTS:
                raise WrongValueError(f"there is no {name!r}; known are {', '.join(REQUESTS)}")
            if name in COUNTED_REQUESTS and not _is_count(amount):
                raise WrongValueError(f"{name} must be a whole number, 1 or more")
            if not isinstance(amount, int | str) or isinstance(amount, bool):
                raise WrongValueError(f"{name} must be a whole number, or text in quotes")
    return {rule: dict(asked) for rule, asked in value.items()}


def _is_count(value: Any, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(text: Any) -> Any:
    return int(text) if str(text).isdigit() else text


def _pairs(texts: list[str]) -> Any:
    """MODEL=NUMBER each."""
    parts = [text.partition("=") for text in texts]
    return {name: _number(value) for name, _, value in parts}


def _nested_pairs(texts: list[str]) -> Any:
    """RULE:NAME=VALUE each."""
    nested: dict[str, dict[str, Any]] = {}
    for text in texts:
        rule, _, asked = text.partition(":")
        nested.setdefault(rule, {}).update(_pairs([asked]))
    return nested


TEXT = Kind(str, _text)
FLAG = Kind(lambda text: FLAGS.get(text.lower(), text), _flag)
MODEL = Kind(str, _gpu_model)
GPU_OPTION = Kind(str, _gpu_option)
MINUTES = Kind(_minutes_of_option, _minutes)
GPUS = Kind(_pairs, _gpus)
REQUESTS_BY_RULE = Kind(_nested_pairs, _requests)
