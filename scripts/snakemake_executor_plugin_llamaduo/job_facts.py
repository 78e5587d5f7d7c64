"""What the executor notes and compares of a job of Snakemake's."""

import time
from pathlib import Path
from typing import Any

from llamaduo.cluster.submitted import Submitted, digest_of_times, times_of
from llamaduo.storage.canonical import digest
from snakemake_executor_plugin_llamaduo.values import REQUESTS

Job = Any
"""A job of Snakemake's."""
FOR_NODE = ("runtime", "gpu", "mem_mb", "nodes")
"""The resources that a job has to know of itself on its node."""


def first_output(job: Job) -> str | None:
    return str(job.output[0]) if job.output else None


def logs_of(job: Job) -> list[Path]:
    return [Path(log) for log in job.log]


def request_of(job: Job) -> tuple[object, ...]:
    """What of a job's request must be the same in all tasks of an array."""
    return (job.threads, *sorted((name, str(job.resources.get(name))) for name in REQUESTS))


def known_on_node(job: Job) -> tuple[list[str], list[str]]:
    """A job's own resources and threads, as options that overwrite what its rule says.

    The Snakemake on the node knows no site: it would reckon with other GPUs and another time limit.
    """
    asked = {name: job.resources.get(name) for name in FOR_NODE}
    resources = [f"{job.rule.name}:{name}={value}" for name, value in asked.items() if isinstance(value, int)]
    return resources, [f"{job.rule.name}={job.threads}"]


def digest_of_job(job: Job) -> str:
    """What Snakemake compares to find out whether a result is out of date."""
    kept = job.dag.workflow.persistence
    return digest(
        {"params": kept._params(job), "code": kept._code(job.rule), "input": [str(file) for file in job.input]}
    )


def submitted_job(job: Job, id: str, run: str) -> Submitted:
    """A job's note for later starts and for the status."""
    asked = {name: job.resources.get(name, 0) for name in ("mem_mb", "runtime", "gpu")}
    memory, minutes, gpus = (value if isinstance(value, int) else 0 for value in asked.values())
    return Submitted(
        id,
        job.rule.name,
        output=first_output(job) or "",
        benchmark=str(job.benchmark or ""),
        digest=digest_of_job(job),
        time=time.time(),
        memory=memory,
        minutes=minutes,
        cores=job.threads,
        gpus=gpus,
        run=run,
        place=str(Path.cwd().resolve()),
        inputs=digest_of_times(map(Path, job.input)),
        before=times_of(map(Path, job.output)),
    )
