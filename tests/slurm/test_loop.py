"""The demo through SLURM: to its verdicts, on the right partitions, with the results of a local run."""

import json
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, told
from on_cluster import ADAPTER, Job, OnCluster, use_site
from workspace import NOTHING, Workspace

from llamaduo.storage import tables
from llamaduo.storage.schemas.metrics import METRICS

WITH_GPU = {"finetune", "respond", "respond_untuned"}
ON_CLUSTER = WITH_GPU | {"read_coverage", "synthesize", "curate", "respond_service", "judge", "deploy_model"}
MODELS = {"gemma-tiny", "mistral-tiny", "llama-tiny"}
RUNS = Path("demo/results/runs/support/simulated-gemini")
DEPLOYED = Path("demo/results/deploy/support/simulated-gemini")
LARGEST_VOLUME = 480
PATIENCE_SECONDS = 1800


@pytest.fixture
def demo(tmp_path: Path, demo_to_run: Workspace, cluster: Cluster) -> OnCluster:
    workspace = demo_to_run.copy(tmp_path / "workspace")
    use_site(workspace)
    return OnCluster(workspace, cluster)


def rule_of(job: Job) -> str:
    return job.step.removeprefix("rule_").split("_wildcards_")[0]


def assert_where_they_belong(jobs: Sequence[Job]) -> None:
    """All have ended well, those with a model on the partition with GPUs, with one each."""
    assert {job.state for job in jobs} == {"COMPLETED"}
    for job in jobs:
        has_gpu = rule_of(job) in WITH_GPU
        assert job.partition == ("gpu" if has_gpu else "cpu"), job
        assert ("TresPerJob=gres:gpu:a100:1" in told("scontrol", "show", "job", job.id)) == has_gpu, job


def assert_equal_metrics(there: OnCluster, local: Workspace, cycles: int) -> None:
    """Of so many cycles, and of baselines."""
    found = sorted(path.relative_to(there.folder) for path in there.folder.glob("demo/results/**/metrics.parquet"))
    assert len([path for path in found if path.is_relative_to(RUNS.parent)]) == cycles
    for path in found:
        rows = tables.read_rows(there.folder / path, METRICS)
        assert rows == tables.read_rows(local.folder / path, METRICS), path


def verdict_of(model: str, workspace: Workspace) -> dict[str, Any]:
    return json.loads((workspace.folder / RUNS / model / "verdict.json").read_text())


def test_the_demo_and_then_its_sweep(demo: OnCluster, sweeping: Future[Workspace]) -> None:
    """Slow: some 60 jobs, each of which starts Python four times, and then 30 more."""
    demo.run(patience=PATIENCE_SECONDS)

    here = sweeping.result()
    verdicts = {model: verdict_of(model, demo.workspace) for model in MODELS}
    assert verdicts == {model: verdict_of(model, here) for model in MODELS}
    cycles = sum(verdict["cycles"] for verdict in verdicts.values())
    assert cycles > 2 * len(MODELS), "the loop has gone on"
    assert_equal_metrics(demo, here, cycles)
    converged = {model for model, verdict in verdicts.items() if verdict["verdict"] == "converged"}
    assert converged
    for model in converged:
        assert (demo.folder / DEPLOYED / model / "model/model.safetensors").is_file()
    jobs = demo.jobs()
    assert {rule_of(job) for job in jobs} == ON_CLUSTER, "the small steps are no jobs"
    assert_where_they_belong(jobs)
    assert "Efficiency" in demo.output()
    assert "comment string" not in demo.output()

    assert max(verdict["volume"] for verdict in verdicts.values()) < LARGEST_VOLUME
    # The sweep adds the volumes that the loop did not need: like steps that are ready together are tasks of one array.
    before = {job.id for job in jobs}
    demo.run("sweep", patience=PATIENCE_SECONDS)

    assert_equal_metrics(demo, here, cycles=5 * len(MODELS))
    added = [job for job in demo.jobs() if job.id not in before]
    assert_where_they_belong(added)
    largest = [demo.noted(f"{RUNS}/{model}/volume-{LARGEST_VOLUME}/adapter").id for model in MODELS]
    assert all("_" in id for id in largest)
    assert len({id.split("_")[0] for id in largest}) == 1, "one submission"
    assert NOTHING in demo.run("sweep", "--dry-run")


def test_several_gpus_of_one_node_on_the_partition_that_fits_best(fresh: OnCluster) -> None:
    """A site names no partitions but their limits, and gives a model two GPUs."""
    limits = {
        "cpu": {"max_runtime": 1440},
        "gpu": {"max_runtime": 1440, "max_gpu": 4, "available_gpu_models": ["a100"]},
    }
    file = fresh.folder / "partitions.yaml"
    file.write_text(json.dumps({"partitions": limits}))
    fresh.site(gpus={"gemma": 2}, cpu_partition=None, gpu_partition=None, partition_config=str(file))

    with fresh.started(ADAPTER) as process:
        fresh.wait_until(lambda: fresh.programs("finetune.py"), process)
        program = fresh.programs("finetune.py")[0].environ()
        fresh.finish(process)

    assert [(rule_of(job), job.partition, job.state) for job in fresh.jobs()] == [
        ("read_coverage", "cpu", "COMPLETED"),
        ("finetune", "gpu", "COMPLETED"),
    ]
    (training,) = fresh.jobs("finetune")
    asked = told("scontrol", "show", "job", training.id)
    for part in ("NumNodes=1 ", "NumCPUs=2 ", "TresPerJob=gres:gpu:a100:2"):
        assert part in asked
    assert program["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert fresh.training_log().count("on 2 process(es)") == 1, "started once, and not once per GPU"
