"""Functions of a job's wildcards, from functions that take names as arguments."""

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

Wildcards = Any
"""A job's wildcards: a mapping from names to values, as Snakemake has it."""


def given(function: Callable[..., Any], wildcards: Wildcards, **more: Any) -> Any:
    """What a function gives for those wildcards that it has arguments for, and for `more`."""
    return function(**{name: wildcards[name] for name in _arguments(function) if name in wildcards.keys()}, **more)  # noqa: SIM118 - no dict


def named(function: Callable[..., Any], **more: Any) -> Callable[[Wildcards], Any]:
    """A function of a job's wildcards, from one that takes them by name."""
    return signed(lambda wildcards: given(function, wildcards, **more))


def option(name: str) -> Callable[..., str]:
    """The option for an input that a step may have. The input is compared, the option is not."""
    flag = f"--{name.replace('_', '-')}"
    return signed(lambda wildcards, input, resources: f"{flag} {input.get(name)}" if input.get(name) else "")


def signed(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, with its signature at hand: Snakemake asks for it dozens of times per job."""
    function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return function


@cache
def _arguments(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)
