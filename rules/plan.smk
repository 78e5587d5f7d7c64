"""After a dry-run: what would run, what of it again and why, and the GPU hours that it asks for."""

import atexit
from collections import Counter

from tabulate import tabulate

EXAMPLES_SHOWN = 5
TARGETS = {"all", "sweep", "coverage", "deploy"}


def reasons_of(job):
    """Why a job would run, apart from jobs before it that run."""
    reason = workflow.dag.reason(job)
    found = [
        ("forced", reason.forced),
        ("settings changed", reason.params_changed),
        ("code or prompts changed", reason.code_changed or reason.software_stack_changed),
        ("other inputs", reason.input_changed),
        ("an input changed", reason.updated_input),
        ("was interrupted", reason.incomplete_output),
        ("not there yet", reason.missing_output and not exists_in_part(job)),
    ]
    return [name for name, holds in found if holds] or ["follows from another step"]


def exists_in_part(job):
    return any(Path(file).exists() for file in job.output)


def is_submitted(job):
    """Whether a step is a job where there is a cluster. A dry-run counts every step as local."""
    return job.rule.name not in workflow._localrules


def gpu_hours(job):
    """The GPU hours that a job asks for: its GPUs for the whole of its run time."""
    asked = [job.resources.get(name, 0) for name in ("gpu", "runtime")]
    return asked[0] * asked[1] / 60 if all(isinstance(value, int | float) for value in asked) else 0.0


def show_plan():
    """Print the plan, when this was a dry-run of the main process."""
    dag = getattr(workflow, "_dag", None)
    if not workflow.is_main_process or not workflow.dryrun or dag is None:
        return
    jobs = [job for job in dag.needrun_jobs(exclude_finished=False) if job.rule.name not in TARGETS]
    if not jobs:
        return
    rows, again = [], []
    planned = {job.rule.name for job in jobs}
    for step in [one.name for one in workflow.rules if one.name in planned]:
        alike = [job for job in jobs if job.rule.name == step]
        existing = [job for job in alike if exists_in_part(job)]
        why = Counter(reason for job in alike for reason in reasons_of(job))
        told = ", ".join(f"{reason} ({count})" for reason, count in why.most_common())
        where = "" if is_submitted(alike[0]) else "beside Snakemake"
        hours = sum(map(gpu_hours, alike))
        rows.append([step, len(alike), len(existing) or "", where, f"{hours:,.0f}" if hours else "", told])
        again += existing
    submitted = sum(map(is_submitted, jobs))
    rows.append(
        ["total", len(jobs), len(again) or "", f"{submitted} on a cluster", f"{sum(map(gpu_hours, jobs)):,.0f}", ""]
    )
    print(tabulate(rows, ["step", "count", "again", "where", "GPU hours asked", "why"], disable_numparse=True))
    for job in again[:EXAMPLES_SHOWN]:
        outputs = " ".join(str(file) for file in job.output if Path(file).exists())
        print(f"again: {job.rule.name}: {outputs}: {', '.join(reasons_of(job))}")
    if len(again) > EXAMPLES_SHOWN:
        print(f"again: and {len(again) - EXAMPLES_SHOWN} more")
    print("GPU hours: what the jobs may use at most; behind a decision or a pool's yield there may be more steps.")
    sys.stdout.flush()


atexit.register(show_plan)
