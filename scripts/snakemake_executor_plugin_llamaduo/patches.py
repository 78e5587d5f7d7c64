"""The names of Snakemake's own that are replaced: three, and no others in this repository.

tests/unit/test_executor_patches.py fails when Snakemake no longer has one of them.
"""

from collections.abc import Callable
from typing import Any

from snakemake.jobs import Job


def start_with(workflow: Any, start: Callable[[Callable[[], None]], None]) -> None:
    """Have `start`, which is given the planning itself, called in place of `Workflow._build_dag`.

    Snakemake calls nothing of a workflow's before it plans, and `onstart` only where there is something to be done. But
    what another main process is just finishing must not be planned, and jobs that an earlier one has left are settled
    also where nothing is to be done. Upstream: snakemake/snakemake#3967 asks for such a signal to plugins.
    """
    plan = workflow._build_dag
    workflow._build_dag = lambda: start(plan)


def retry_as(retries: Callable[[Job], int]) -> None:
    """Have `retries` say how often a job is tried again, in place of `Job.restart_times`.

    Snakemake knows one number of retries for all failures of a rule, and tries a job again whose failure would repeat.
    Upstream: snakemake/snakemake#2441 asks for a function that decides it.
    """
    Job.restart_times = property(retries)


def go_on_unlocked(workflow: Any) -> None:
    """Have no lock of Snakemake's own (`Persistence.lock`), as with its option --nolock.

    The option has to be known before the targets are. Of two processes in a folder, the one that ends first removes the
    locks of the other. No issue upstream is known.
    """
    workflow.persistence.lock = workflow.persistence.noop
