"""How often a job is tried again: a training as often as its own record of attempts allows."""

import time
from pathlib import Path

from llamaduo.cli.logs import has_wrong_options
from llamaduo.training.continuation import begun, is_hopeless, now
from llamaduo.workflow.layout import State
from snakemake_executor_plugin_llamaduo.executor import REFUSED
from snakemake_executor_plugin_llamaduo.job_facts import Job, logs_of
from snakemake_executor_plugin_llamaduo.patches import retry_as

CLOCKS_DIFFER_MINUTES = 5
"""The clocks of the nodes may differ by so much: what is older is of another start."""
MOST_NOT_BEGUN = 4
"""Attempts at a training that may end before its program begins."""


def retry_where_it_helps(state: State) -> None:
    """Have no permanent failure retried: refused requests, wrong options, and trainings that would fail again.

    Nor trainings of which most attempts died before the program started (no Python on the node).
    """
    earliest, start = now(minutes_ago=CLOCKS_DIFFER_MINUTES), time.time() - CLOCKS_DIFFER_MINUTES * 60

    def had_wrong_options(job: Job) -> bool:
        logs = filter(Path.is_file, logs_of(job))
        return any(log.stat().st_mtime > start and has_wrong_options(log) for log in logs)

    def retries(job: Job) -> int:
        asked = int(job.rule.restart_times)
        if job in REFUSED or had_wrong_options(job):
            return 0
        if job.rule.name != "finetune":
            return asked
        adapter = Path(job.output[0])
        never_began = job.attempt - 1 - begun(state.checkpoints, adapter, earliest)
        return 0 if is_hopeless(state.checkpoints, adapter) or never_began > MOST_NOT_BEGUN else asked

    retry_as(retries)
