"""What SLURM could never run is said before the start: a partition that is not there, a request beyond what it has."""

from contextlib import suppress
from dataclasses import replace

from llamaduo.cluster.partitions import Request, obstacle, read_partitions
from llamaduo.cli.errors import ServiceError
from snakemake.common.tbdstring import TBDString
from snakemake.iocontainers import InputFiles, Wildcards

# Whether the site's profile has this looked at.
LIMITS_CHECKED = os.environ.get("LLAMADUO_CHECK_REQUESTS") == "yes"
# The site's values that the parts of a request follow from, of a step on GPUs and of any other.
SITE_VALUES = {
    "partition": ("gpu_partition", "cpu_partition"),
    "minutes": ("longest_minutes", "longest_minutes, cpu_partition or requests"),
    "gpus": ("gpus or gpu_model", "requests"),
    "feature": ("gpu_constraint", "requests"),
    "cores": ("gpu_step_cores", "requests"),
    "megabytes": ("largest_mb", "cpu_partition or requests"),
}


def is_submitted(job):
    """Whether a step is a job where there is a cluster. A dry-run counts every step as local."""
    return job.rule.name not in workflow._localrules


@functools.cache
def partitions():
    """The cluster's partitions, as they are when it is first asked; none where it does not tell.

    A start waits for a controller that is down, as it has to wait for it anyway.
    """
    try:
        return read_partitions(patience=0 if workflow.dryrun else PATIENCE_SECONDS) if LIMITS_CHECKED else []
    except ServiceError as error:
        print(f"Requests are not compared with what the cluster's partitions have: {error}", flush=True)
        return []


def asked_of_a_node(resources, cores):
    """A request, as far as it is known and said in the words that the rules use."""
    asked = {name: value for name, value in resources.items() if not isinstance(value, TBDString)}
    numbers = {name: value for name, value in asked.items() if isinstance(value, int)}
    has_quality = "qos" in asked or getattr(workflow.executor_settings, "qos", None)
    has_own_cores = {"cpus_per_task", "cpus_per_gpu"} & asked.keys()
    return Request(
        partition=str(asked.get("slurm_partition", "")),
        # A quality of service may allow more time than the partition.
        minutes=0 if has_quality else numbers.get("runtime", 0),
        cores=0 if has_own_cores else cores,
        megabytes=0 if "mem_mb_per_cpu" in asked else numbers.get("mem_mb", 0),
        gpus=numbers.get("gpu", 0),
        gpu_model=str(asked.get("gpu_model", "")),
        feature=str(asked.get("constraint", "")),
    )


def asked_by(job):
    """What a job asks for, on one node. A dry-run by itself gives every job one core."""
    return asked_of_a_node(job.resources, cores_of(job.rule, job.wildcards) if workflow.dryrun else job.threads)


def cores_of(rule, wildcards):
    """The cores of a rule's job, as the rule or the profile has them."""
    asked = rule.resources["_cores"].evaluate(wildcards)
    return asked.value if isinstance(asked.value, int) else 0


def asked_by_followers(jobs):
    """By rule, what the largest steps will ask for that planned decisions may lead to.

    Their wildcards are those that such requests follow from; by these alone no step is one that ran out of memory.
    """
    found = {}
    for name, values in followers(jobs):
        follower, wildcards = workflow.get_rule(name), Wildcards(fromdict=values)
        with suppress(WorkflowError):
            resources = follower.expand_resources(values, InputFiles(), attempt=1, skip_evaluation={"tmpdir"})
            found.setdefault(name, []).append(asked_of_a_node(resources, cores_of(follower, wildcards)))
    return found


def followers(jobs):
    """Rules and wildcards of the steps at the largest volume, and of those behind a verdict, of undecided runs."""
    undecided = {(job.wildcards.task, job.wildcards.model) for job in jobs if job.rule.name == "decide"}
    for job in jobs:
        if job.rule.name != "close_run" or (job.wildcards.task, job.wildcards.model) not in undecided:
            continue
        task, generator, model = job.wildcards.task, job.wildcards.generator, job.wildcards.model
        volume = max(CONFIG.tasks[task].volumes)
        yield "finetune", {"task": task, "model": model, "volume": str(volume)}
        yield "respond", {"task": task, "model": model, "volume": str(volume)}
        yield "deploy_model", {"model": model}
        if volume and not RESULTS.measured_pool(task, generator, volume).is_file():
            yield "curate", {"chunks": str(first_chunks(volume, CONFIG.synthesis))}


def in_words(request, found):
    """An obstacle to a request, and the site's values that it follows from."""
    on_gpus, on_others = SITE_VALUES[found.part]
    return f"{found.words} (the site's {on_gpus if request.gpus else on_others})"


def obstacle_of(job):
    """In words, what keeps SLURM from running a job that is to be submitted; empty when nothing does."""
    if job.is_group() or not partitions():
        return ""
    request = asked_by(job)
    found = obstacle(request, partitions())
    return f"it asks for {in_words(request, found)}" if found else ""


def never_run(jobs):
    """In words, which of some planned jobs, or of the steps that decisions may lead to, SLURM could never run."""
    if not partitions():
        return []
    jobs, planned = list(jobs), {}
    for job in filter(is_submitted, jobs):
        request = asked_by(job)
        if times_out_of_memory(job.rule.name, job.wildcards_dict):
            # What asks for more than at first shall fail alone, and not keep everything else from starting.
            request = replace(request, megabytes=0)
        planned.setdefault(job.rule.name, []).append(request)
    following = refusals(asked_by_followers(jobs), "to which decisions may lead")
    return sorted((following | refusals(planned, "{} of its jobs")).values())


def refusals(requests, which):
    """In words, by rule and part of the request, what SLURM could never run."""
    met = {}
    for rule, request in [(rule, one) for rule, asked in requests.items() for one in asked]:
        if found := obstacle(request, partitions()):
            met.setdefault((rule, found.part), []).append((request, found))
    lines = {}
    for (rule, part), refused in met.items():
        words = in_words(*max(refused, key=lambda pair: getattr(pair[0], part)))
        lines[rule, part] = f"SLURM could never run {rule} ({which.format(len(refused))}): it asks for {words}"
    return lines
