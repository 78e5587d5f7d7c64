"""What SLURM could never run is said before the start: a partition that is not there, a request beyond what it has."""

from collections import Counter
from dataclasses import replace

from llamaduo.cluster.partitions import Request, obstacle, read_partitions
from llamaduo.errors import ServiceError
from snakemake.iocontainers import Wildcards

# Whether the site's profile has this looked at.
LIMITS_CHECKED = os.environ.get("LLAMADUO_CHECK_REQUESTS") == "yes"
# The site's values that a request's parts follow from.
SITE_VALUES = {
    "partition": "cpu_partition or gpu_partition",
    "minutes": "longest_minutes",
    "gpus": "gpus or gpu_model",
    "feature": "gpu_constraint",
    "cores": "gpu_step_cores",
    "megabytes": "largest_mb",
}


def is_submitted(job):
    """Whether a step is a job where there is a cluster. A dry-run counts every step as local."""
    return job.rule.name not in workflow._localrules


def cores_asked(job):
    """A job's cores. A dry-run cuts them down to those of the machine that it runs on."""
    return max(job.threads, CORES_PER_GPU * job.resources.get("gpu", 0)) if workflow.dryrun else job.threads


def asked_of_a_node(job):
    """What a job asks for; a training what it may come to ask for, at the largest volume that decisions lead to."""
    asked = {name: value for name, value in job.resources.items() if isinstance(value, int | str)}
    request = Request(
        partition=asked.get("slurm_partition", ""),
        minutes=asked.get("runtime", 0),
        cores=cores_asked(job),
        megabytes=asked.get("mem_mb", 0),
        gpus=asked.get("gpu", 0),
        gpu_model=asked.get("gpu_model", ""),
        feature=asked.get("constraint", ""),
    )
    if job.rule.name != "finetune":
        return request
    # As long as nobody has replaced the rule's own request.
    volumes = CONFIG.tasks[job.wildcards.task].volumes
    largest = Wildcards(fromdict=job.wildcards_dict | {"volume": str(max(volumes))})
    own_minutes, own_megabytes = time_of_training, functools.partial(memory(memory_of_training), rulename="finetune")
    if request.minutes == own_minutes(job.wildcards):
        request = replace(request, minutes=own_minutes(largest))
    if request.megabytes == own_megabytes(job.wildcards):
        request = replace(request, megabytes=own_megabytes(largest))
    return request


@functools.cache
def partitions():
    """The cluster's partitions, as they are at the start."""
    return read_partitions(patience=PATIENCE_SECONDS * (not workflow.dryrun))


def obstacle_of(job):
    """What keeps SLURM from running a job, and which of the site's values it follows from; empty when nothing does."""
    if not LIMITS_CHECKED or not partitions():
        return ""
    chosen_later = getattr(workflow.executor_settings, "partition_config", None) is not None
    request = asked_of_a_node(job)
    found = obstacle(request, partitions(), chosen_later and not request.partition)
    return f"it asks for {found.words} (the site's {SITE_VALUES[found.part]})" if found else ""


def never_run(jobs):
    """In words, which of some jobs SLURM could never run, and why."""
    submitted = [job for job in jobs if is_submitted(job)]
    met = Counter((job.rule.name, words) for job in submitted if (words := obstacle_of(job)))
    return [f"SLURM could never run {rule} ({count} of its jobs): {words}" for (rule, words), count in met.items()]
