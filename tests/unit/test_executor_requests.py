"""What is asked of SLURM for a job, and what is said of one that it will never start."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llamaduo.cluster.queue import ClusterJob
from snakemake_executor_plugin_llamaduo.call import gpu_option
from snakemake_executor_plugin_llamaduo.job_facts import known_on_node, request_of
from snakemake_executor_plugin_llamaduo.waiting import why_it_never_starts


def job(threads: int = 1, **resources: object) -> SimpleNamespace:
    return SimpleNamespace(rule=SimpleNamespace(name="finetune"), threads=threads, resources=resources)


@pytest.mark.parametrize(
    ("resources", "option", "asked"),
    [
        ({"gpu": 2, "gpu_model": "a100"}, "gpus", " --gpus=a100:2"),
        ({"gpu": 1, "gpu_model": "nvidia_a100-sxm4-80gb"}, "gpus", " --gpus=nvidia_a100-sxm4-80gb:1"),
        ({"gpu": 2, "gpu_model": "a100"}, "gres", " --gres=gpu:a100:2"),
        ({"gpu": 2}, "gres", " --gres=gpu:2"),
        ({"gres": "shard:2", "gpu": 1}, "gpus", " --gres=shard:2"),
        ({}, "gres", ""),
    ],
)
def test_gpus_are_asked_for_as_the_site_takes_it(resources: dict[str, Any], option: str, asked: str) -> None:
    assert gpu_option(job(**resources), option) == asked


def test_jobs_of_one_submission_ask_for_the_same() -> None:
    """Their slots for services and their temporary folders may differ: SLURM is not asked for these."""
    one = request_of(job(mem_mb=1000, service_grader=1, tmpdir="/a"))
    assert one == request_of(job(mem_mb=1000, service_grader=0, tmpdir="/b"))
    assert one != request_of(job(mem_mb=2000))
    assert one != request_of(job(2, mem_mb=1000))


def test_a_job_knows_on_its_node_what_it_was_given() -> None:
    resources, threads = known_on_node(job(16, gpu=2, runtime=60, mem_mb=1000, slurm_partition="gpu"))
    assert resources == ["finetune:runtime=60", "finetune:gpu=2", "finetune:mem_mb=1000"]
    assert threads == ["finetune=16"]


def waiting(state: str, where: str) -> ClusterJob:
    return ClusterJob("7", state, where, "0:00", "", "rule_judge_wildcards_a_b", "run-1", Path("/there"))


@pytest.mark.parametrize(
    ("state", "where", "said"),
    [
        ("PENDING", "(QOSMaxWallDurationPerJobLimit)", "a smaller longest_minutes of the site, or another qos"),
        ("PENDING", "(JobHeldUser)", "`scontrol release 7` lets it go on, `scancel 7` ends it"),
        ("REQUEUE_HOLD", "(job requeued in held state)", "`scontrol release 7`"),
        ("PENDING", "(BadConstraints)", "another gpu_constraint of the site"),
    ],
)
def test_a_job_that_waits_for_somebody_is_named_with_what_helps(state: str, where: str, said: str) -> None:
    line = why_it_never_starts(waiting(state, where))
    assert line.startswith("SLURM will not start job 7 (judge a_b) by itself: ")
    assert said in line


@pytest.mark.parametrize(
    ("state", "where"), [("PENDING", "(Priority)"), ("PENDING", "(Resources)"), ("RUNNING", "node1"), ("FAILED", "")]
)
def test_a_job_that_waits_for_its_turn_is_not(state: str, where: str) -> None:
    assert why_it_never_starts(waiting(state, where)) == ""
