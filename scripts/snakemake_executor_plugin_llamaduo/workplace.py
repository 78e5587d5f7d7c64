"""What the executor has to know of the workflow that it runs, and where it keeps notes for later starts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from snakemake.logging import logger

from llamaduo.cli.errors import ServiceError
from llamaduo.cluster import submitted
from llamaduo.cluster.queue import read_jobs
from llamaduo.cluster.submitted import note_end
from snakemake_executor_plugin_llamaduo.job_facts import Job
from snakemake_executor_plugin_llamaduo.limits import Limits


@dataclass
class Workplace:
    """`note_failed` remembers steps that failed for good, `note_out_of_memory` one that ran out of memory."""

    results: Path
    config_name: str
    limits: Limits
    note_failed: Callable[[Iterable[Job]], None]
    note_out_of_memory: Callable[[Job], None]

    @property
    def submitted(self) -> Path:
        """The notes of the jobs that were submitted."""
        return self.results / submitted.SUBMITTED

    def note_ends(self, ids: Iterable[str]) -> None:
        """Note how long jobs ran that ended without a result, for the GPU hours, while SLURM still knows it."""
        ended = set(ids)
        for job in read_jobs("all"):
            if job.id in ended and not job.lives and job.state != "COMPLETED" and job.seconds:
                note_end(self.submitted, job.id, job.seconds)

    def note_so_far(self, run: str) -> None:
        """Note how long the jobs of a start have run that are about to be cancelled."""
        for job in read_jobs():
            if job.name == run and job.seconds:
                note_end(self.submitted, job.id, job.seconds)


def where_possible(note: Callable[..., None], *arguments: object) -> None:
    """Note something for later. A full disk must not make a failed job of one that runs."""
    try:
        note(*arguments)
    except (OSError, ServiceError) as error:
        logger.warning(f"not noted for later starts and the status: {error}")
