"""What SLURM could never run is said before the start: a partition that is not there, a request beyond what it has."""

from dataclasses import replace

from llamaduo.cluster.partitions import Request, obstacle, read_partitions
from llamaduo.errors import ServiceError
from snakemake.common.tbdstring import TBDString
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


@functools.cache
def partitions():
    """The cluster's partitions, as they are when it is first asked; none where it does not tell."""
    try:
        return read_partitions() if LIMITS_CHECKED else []
    except ServiceError as error:
        print(f"Requests are not compared with what the cluster's partitions have: {error}", flush=True)
        return []


def asked_of_a_node(job):
    """What a job asks for, as far as it is known and said in the words that the rules use."""
    asked = {name: value for name, value in job.resources.items() if not isinstance(value, TBDString)}
    numbers = {name: value for name, value in asked.items() if isinstance(value, int)}
    has_quality = "qos" in asked or getattr(workflow.executor_settings, "qos", None)
    has_own_cores = {"cpus_per_task", "cpus_per_gpu"} & asked.keys()
    return Request(
        partition=str(asked.get("slurm_partition", "")),
        # A quality of service may allow more time than the partition.
        minutes=0 if has_quality else numbers.get("runtime", 0),
        cores=0 if has_own_cores else cores_of(job),
        megabytes=0 if "mem_mb_per_cpu" in asked else numbers.get("mem_mb", 0),
        gpus=numbers.get("gpu", 0),
        gpu_model=str(asked.get("gpu_model", "")),
        feature=str(asked.get("constraint", "")),
    )


def cores_of(job):
    """A job's cores. A dry-run by itself gives every job one; in it they are as the rule or the profile has them."""
    if not workflow.dryrun:
        return job.threads
    asked = job.rule.resources["_cores"].evaluate(job.wildcards)
    return asked.value if isinstance(asked.value, int) else 0


def at_largest_volume(job, request):
    """What a training will ask for when decisions lead to its task's largest volume; its request now at the least."""
    volumes = CONFIG.tasks[job.wildcards.task].volumes
    largest = Wildcards(fromdict=job.wildcards_dict | {"volume": str(max(volumes))})
    own_minutes, own_megabytes = time_of_training, functools.partial(memory(memory_of_training), rulename="finetune")
    # A request that is not the rule's own does not follow the volume.
    if request.minutes == own_minutes(job.wildcards):
        request = replace(request, minutes=max(request.minutes, own_minutes(largest)))
    if request.megabytes == own_megabytes(job.wildcards):
        request = replace(request, megabytes=max(request.megabytes, own_megabytes(largest)))
    return request


def in_words(request, found):
    """An obstacle to a request, and the site's value that it follows from."""
    of_rule = found.part in {"cores", "feature"} and not request.gpus
    return found.words + ("" if of_rule else f" (the site's {SITE_VALUES[found.part]})")


def met_by(request):
    """What keeps SLURM from running a request; None when nothing does or nothing is known."""
    return obstacle(request, partitions()) if partitions() else None


def obstacle_of(job):
    """In words, what keeps SLURM from running a job that is to be submitted; empty when nothing does."""
    request = None if job.is_group() else asked_of_a_node(job)
    found = request and met_by(request)
    return f"it asks for {in_words(request, found)}" if found else ""


def never_run(jobs):
    """In words, which of some planned jobs, or of the trainings that they may lead to, SLURM could never run."""
    jobs, met = list(jobs), {}
    leads_on = "decide" in {job.rule.name for job in jobs}
    for job in filter(is_submitted, jobs):
        request = asked_of_a_node(job)
        if leads_on and job.rule.name == "finetune":
            request = at_largest_volume(job, request)
        if found := met_by(request):
            met.setdefault((job.rule.name, found.part), []).append((request, found))
    lines = []
    for (rule, part), refused in met.items():
        words = in_words(*max(refused, key=lambda pair: getattr(pair[0], part)))
        asks = "up to the largest volume it asks for" if leads_on and rule == "finetune" else "it asks for"
        lines.append(f"SLURM could never run {rule} ({len(refused)} of its jobs): {asks} {words}")
    return sorted(lines)
