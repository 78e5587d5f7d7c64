"""Whether every task can be cut from the coverage dataset: asked before anything is paid for."""

from collections.abc import Mapping, Sequence

from llamaduo.cli.errors import InputError
from llamaduo.config.coverage import CoverageSettings
from llamaduo.coverage.source import read_source
from llamaduo.coverage.tasks import task_splits


def check(settings: CoverageSettings, tasks: Mapping[str, Sequence[str]]) -> None:
    """Read the source once and cut every task (name to categories) from it, as the programs will.

    Raises `InputError` for anything that would stop one of them.
    """
    source = read_source(settings)
    for task, categories in tasks.items():
        try:
            task_splits(source, settings, categories)
        except InputError as error:
            raise InputError(f"tasks.{task}: {error}") from error
