"""The whole loop through SLURM: to its verdicts, on the right partitions, with the results of a local run."""

import json
from collections.abc import Sequence

import pytest
from cluster import told
from on_cluster import ADAPTER, Job, OnCluster
from workspace import NOTHING, Workspace

from llamaduo import tables
from llamaduo.schemas.metrics import METRICS

WITH_GPU = {"finetune", "respond", "respond_untuned"}
ON_CLUSTER = WITH_GPU | {"read_coverage", "synthesize", "curate", "respond_service", "judge"}
MODELS = ("gemma", "llama")


@pytest.fixture
def looped(fresh: OnCluster) -> OnCluster:
    """Both runs closed after two cycles."""
    fresh.workspace.change("tasks.animals.volumes", [0, 6])
    fresh.run()
    return fresh


def rule_of(job: Job) -> str:
    return job.step.removeprefix("rule_").split("_wildcards_")[0]


def assert_where_they_belong(jobs: Sequence[Job]) -> None:
    """All have ended well, those with a model on the partition with GPUs, with one each."""
    assert {job.state for job in jobs} == {"COMPLETED"}
    for job in jobs:
        has_gpu = rule_of(job) in WITH_GPU
        assert job.partition == ("gpu" if has_gpu else "cpu"), job
        assert ("TresPerJob=gres:gpu:a100:1" in told("scontrol", "show", "job", job.id)) == has_gpu, job


def assert_equal_metrics(there: OnCluster, local: Workspace) -> None:
    found = sorted(path.relative_to(there.folder) for path in there.folder.glob("results/**/metrics.parquet"))
    assert found
    for path in found:
        rows = tables.read_rows(there.folder / path, METRICS)
        assert rows == tables.read_rows(local.folder / path, METRICS), path


def test_the_loop_and_then_the_sweep(looped: OnCluster, swept: Workspace) -> None:
    """Slow: some 25 jobs, each of which starts Python four times."""
    for model in MODELS:
        verdict = json.loads((looped.folder / f"results/runs/animals/writer/{model}/verdict.json").read_text())
        assert (verdict["verdict"], verdict["volume"]) == ("exhausted", 6)
    assert_equal_metrics(looped, swept)
    jobs = looped.jobs()
    assert {rule_of(job) for job in jobs} == ON_CLUSTER, "the small steps are no jobs"
    assert_where_they_belong(jobs)
    assert "Efficiency" in looped.output()

    # The sweep adds a volume to both runs: their like steps are tasks of one array.
    before = {job.id for job in jobs}
    looped.workspace.change("tasks.animals.volumes", [0, 6, 12])
    looped.run("sweep")

    added = [job for job in looped.jobs() if job.id not in before]
    assert_where_they_belong(added)
    trainings = [job.id for job in added if rule_of(job) == "finetune"]
    assert len(trainings) == len(MODELS)
    assert len({id.split("_")[0] for id in trainings}) == 1, "one submission"
    assert all("_" in id for id in trainings)
    assert_equal_metrics(looped, swept)
    assert NOTHING in looped.run("sweep", "--dry-run")

    # Whatever is good enough converges at once, and is deployed.
    before = {job.id for job in looped.jobs()}
    looped.workspace.change("decision.epsilon.mean", 0)
    looped.run()

    for model in MODELS:
        verdict = json.loads((looped.folder / f"results/runs/animals/writer/{model}/verdict.json").read_text())
        assert (verdict["verdict"], verdict["volume"]) == ("converged", 0)
        assert (looped.folder / f"results/deploy/animals/writer/{model}/model/model.safetensors").is_file()
    deployments = [job for job in looped.jobs() if job.id not in before]
    assert [rule_of(job) for job in deployments] == ["deploy_model"] * len(MODELS)
    assert_where_they_belong(deployments)


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
