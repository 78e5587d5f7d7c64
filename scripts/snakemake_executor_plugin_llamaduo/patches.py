"""The names of Snakemake's own that are replaced: three, and no others in this repository.

tests/unit/test_executor_patches.py fails when Snakemake no longer has one of them.
"""

from collections.abc import Callable, Iterable
from typing import Any

from snakemake.dag import DAG
from snakemake.io import is_flagged
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


def notice_checkpoints_of_earlier_starts() -> None:
    """Have `DAG.update_checkpoint_dependencies` notice every finished checkpoint, whatever start has finished it.

    Snakemake 9.27 asks an input function again when a checkpoint directly above its job has finished in this start, or
    was in the first plan and up to date. The pool of a new cycle may be neither: an interrupted start has made it, and
    the decision before it brings it into the plan. Its jobs would then begin with unresolved inputs. A checkpoint with
    unresolved inputs of its own has to wait for them, as only they tell whether it is up to date.
    Source: github.com/snakemake/snakemake/issues/3862 (open).
    """
    update = DAG.update_checkpoint_dependencies

    async def is_unnoticed(dag: Any, job: Job) -> bool:
        return (
            not dag.needrun(job)
            and not dag.workflow.checkpoints.created_output.issuperset(job.output)
            and not any(is_flagged(file, "checkpoint_target") for file in job.input)
            and all([await file.exists() for file in job.output])
        )

    async def update_all(dag: Any, jobs: Iterable[Job] | None = None) -> bool:
        updated = await update(dag, jobs or [])
        look_again = updated or jobs is None
        while look_again:
            found = [job for job in dag.jobs if job.is_checkpoint and await is_unnoticed(dag, job)]
            look_again = await update(dag, found)
            updated = updated or look_again
        return bool(updated)

    DAG.update_checkpoint_dependencies = update_all
