"""The call of sbatch for jobs with equal requests."""

import shlex
from collections.abc import Collection, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import get_job_wildcards
from snakemake_executor_plugin_slurm.validation import validate_slurm_extra

from snakemake_executor_plugin_llamaduo.job_facts import Job


def log_folder(root: Path, jobs: Sequence[Job]) -> Path:
    """Where SLURM writes the logs of one submission."""
    return root / f"rule_{jobs[0].name}" / (get_job_wildcards(jobs[0]) if len(jobs) == 1 else "")


def sbatch_call(
    jobs: Sequence[Job],
    settings: Any,
    excluded: Collection[str],
    *,
    run: str,
    logs: Path,
    account: str,
    partition: str,
    workdir: Any,
) -> str:
    """A line for the shell. `run` is the name of all jobs of this start; `account` and `partition` are options.

    The script comes from standard input.
    """
    job = jobs[0]
    validate_slurm_extra(job)
    wildcards = get_job_wildcards(job)
    request = {
        "run_uuid": run,
        "slurm_logfile": log_folder(logs, jobs) / ("%j.log" if len(jobs) == 1 else "%A_%a.log"),
        "comment_str": f"rule_{job.name}" + (f"_wildcards_{wildcards}" if wildcards else ""),
        "account": account,
        "partition": partition,
        "workdir": workdir,
    }
    # Without `qos`, which is among the job's resources.
    chosen = SimpleNamespace(
        requeue=settings.requeue, no_requeue=settings.no_requeue, qos=None, reservation=settings.reservation
    )
    call = get_submit_command(job, request, settings=chosen, failed_nodes=excluded)
    call += gpu_option(job, settings.gpu_option)
    return call if len(jobs) == 1 else f"{call} --array=1-{len(jobs)}"


def gpu_option(job: Job, option: str) -> str:
    """The option that asks for GPUs: `--gpus=a100:1`, or `--gres=gpu:a100:1`.

    The SLURM plugin's own takes no type with a hyphen, such as nvidia_a100-sxm4-80gb.
    """
    count, model, own = (job.resources.get(name) for name in ("gpu", "gpu_model", "gres"))
    if own or not (count or model):
        return f" --gres={shlex.quote(own)}" if own else ""
    kind = f"{model}:" if model else ""
    return f" --gres=gpu:{kind}{count or 1}" if option == "gres" else f" --gpus={kind}{count or 1}"
