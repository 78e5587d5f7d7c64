"""How often a job is tried again: a training as often as its own record of attempts allows."""

import time

from llamaduo.training.continuation import now
from snakemake_executor_plugin_llamaduo.executor import REFUSED
from snakemake_executor_plugin_llamaduo.patches import retry_as

# How often one start of the workflow takes a training up again: after a time limit or a kill, and after failures that
# may pass. The program counts the two apart. A job's own process must not: it would train on past the job's end.
TRAINING_RETRIES = (CONFIG.training.continuations + CONFIG.training.failures) * workflow.is_main_process


# So many attempts at a training may end before its program begins.
MOST_NOT_BEGUN = 4


# Attempts that began before are of another start. The clocks of the nodes may differ by some minutes.
EARLIEST_ATTEMPT, START = now(minutes_ago=5), time.time()


def is_hopeless_training(wildcards):
    """Whether another attempt at a training would only tell again why it cannot be done."""
    cycle = RESULTS.cycle(*(wildcards[name] for name in ("task", "generator", "model", "volume")))
    return is_hopeless(STATE.checkpoints, cycle / "adapter")


def had_wrong_options(job):
    """Whether the program was called with options that it does not take, in this start."""
    logs = [Path(log) for log in job.log if Path(log).is_file()]
    return any(log.stat().st_mtime > START - 300 and has_wrong_options(log) for log in logs)


def retries_of_job(job):
    """Permanent failures are not retried: refused requests, wrong options, and trainings that would fail again.

    Also 0 if most attempts at a training died before the program started (request refused, no Python on the node).
    """
    if job in REFUSED or had_wrong_options(job):
        return 0
    if job.rule.name != "finetune":
        return job.rule.restart_times
    never_began = job.attempt - 1 - begun(STATE.checkpoints, Path(job.output[0]), EARLIEST_ATTEMPT)
    hopeless = is_hopeless_training(job.wildcards_dict) or never_began > MOST_NOT_BEGUN
    return 0 if hopeless else job.rule.restart_times


retry_as(retries_of_job)
