"""How often a job is tried again: a training as often as its own record of attempts allows."""

from llamaduo.training.continuation import now
from snakemake.scheduling.job_scheduler import JobScheduler

# How often one start of the workflow takes a training up again: after a time limit or a kill, and after failures that
# may pass. The program counts the two apart. A job's own process must not: it would train on past the job's end.
TRAINING_RETRIES = (CONFIG.training.continuations + CONFIG.training.failures) * workflow.is_main_process


# So many attempts at a training may end before its program begins.
MOST_NOT_BEGUN = 4


# Jobs that were not submitted, and why: the cluster could never run them. They have made nothing, and never would.
REFUSED = {}
# Attempts that began before are of another start. The clocks of the nodes may differ by some minutes.
EARLIEST_ATTEMPT = now(minutes_ago=5)


def is_hopeless_training(wildcards):
    """Whether another attempt at a training would only tell again why it cannot be done."""
    cycle = RESULTS.cycle(*(wildcards[name] for name in ("task", "generator", "model", "volume")))
    return is_hopeless(STATE.checkpoints, cycle / "adapter")


def retries_of_job(job):
    """Snakemake knows a number of retries per rule only; a training that would fail again gets none.

    Nor one that hardly ever begins: SLURM refuses its request, or its node has no Python.
    """
    if job in REFUSED or any(has_wrong_options(Path(log)) for log in job.log):
        return 0
    if job.rule.name != "finetune":
        return job.rule.restart_times
    never_began = job.attempt - 1 - begun(STATE.checkpoints, Path(job.output[0]), EARLIEST_ATTEMPT)
    hopeless = is_hopeless_training(job.wildcards_dict) or never_began > MOST_NOT_BEGUN
    return 0 if hopeless else job.rule.restart_times


Job.restart_times = property(retries_of_job)


def handle_error(scheduler, job, postprocess_job=True, handle=JobScheduler._handle_error):
    """What Snakemake does when a job has failed. The outputs of one that was not submitted are those of before."""
    handle(scheduler, job, postprocess_job and job not in REFUSED)


JobScheduler._handle_error = handle_error
