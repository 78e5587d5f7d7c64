"""A fault of Snakemake in workflows of which one checkpoint decides whether another is asked for."""

from snakemake.dag import DAG
from snakemake.io import is_flagged


def notice_checkpoints_of_earlier_starts():
    """Have Snakemake notice every finished checkpoint, also those that a decision has only now added to the plan.

    Snakemake 9.27 asks an input function again when a checkpoint directly above its job has finished in this start, or
    was in the first plan and up to date. The pool of a new cycle may be neither: an interrupted start has made it, and
    the decision before it brings it into the plan. Its jobs would then begin with unresolved inputs. A checkpoint with
    unresolved inputs of its own has to wait for them, as only they tell whether it is up to date.
    Source: github.com/snakemake/snakemake/issues/3862 (open).
    """
    update = DAG.update_checkpoint_dependencies

    async def is_unnoticed(dag, job):
        return (
            not dag.needrun(job)
            and not dag.workflow.checkpoints.created_output.issuperset(job.output)
            and not any(is_flagged(file, "checkpoint_target") for file in job.input)
            and all([await file.exists() for file in job.output])
        )

    async def update_all(dag, jobs=None):
        updated = await update(dag, jobs or [])
        look_again = updated or jobs is None
        while look_again:
            found = [job for job in dag.jobs if job.is_checkpoint and await is_unnoticed(dag, job)]
            look_again = await update(dag, found)
            updated = updated or look_again
        return updated

    DAG.update_checkpoint_dependencies = update_all


notice_checkpoints_of_earlier_starts()
