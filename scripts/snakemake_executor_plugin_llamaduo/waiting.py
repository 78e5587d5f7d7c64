"""Jobs that SLURM has taken and will never start by itself: held, or over a limit of the queue."""

from llamaduo.cluster.queue import ClusterJob

BY_HAND = "`scontrol release {id}` lets it go on, `scancel {id}` ends it"
NEVER_BY_THEMSELVES = {
    "JobHeldUser": BY_HAND,
    "JobHeldAdmin": "ask who runs the cluster",
    "JobHoldMaxRequeue": BY_HAND,
    "PartitionTimeLimit": "a smaller longest_minutes of the site",
    "QOSMaxWallDurationPerJobLimit": "a smaller longest_minutes of the site, or another qos",
    "AssocMaxWallDurationPerJobLimit": "a smaller longest_minutes of the site, or another account",
    "PartitionNodeLimit": "another gpu_partition or cpu_partition of the site",
    "PartitionInactive": "another gpu_partition or cpu_partition of the site",
    "BadConstraints": "another gpu_constraint of the site",
    "AccountNotAllowed": "another account of the site",
    "InvalidAccount": "another account of the site",
    "QOSNotAllowed": "another qos of the site",
    "InvalidQOS": "another qos of the site",
    "QOSMaxMemoryPerJob": "a smaller largest_mb of the site",
    "QOSMaxGRESPerJob": "fewer GPUs (the site's gpus)",
    "QOSMaxCpuPerJobLimit": "a smaller gpu_step_cores of the site",
}
"""SLURM's reasons, by the words of squeue, and what helps."""
HOLDING_STATES = {"REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}


def why_it_never_starts(job: ClusterJob) -> str:
    """One line about a job that waits for somebody; empty for one that waits for its turn, runs or has ended."""
    reason = job.where.strip("()")
    helps = NEVER_BY_THEMSELVES.get(reason)
    if job.state in HOLDING_STATES:
        reason, helps = f"{job.state}: {reason}", BY_HAND
    if not job.waits or helps is None:
        return ""
    step = job.comment.removeprefix("rule_").replace("_wildcards_", " ")
    return f"SLURM will not start job {job.id} ({step}) by itself: {reason}; what helps: {helps.format(id=job.id)}"
