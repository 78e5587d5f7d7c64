"""What the cluster could never run is refused, and does not wait in the queue for ever."""

import json
import re

import pytest
from cluster import told
from on_cluster import ADAPTER, OTHER_ADAPTER, OnCluster
from settings import DETECTED_TYPE

BEYOND: dict[str, tuple[dict[str, str | int], str]] = {
    "partition": ({"gpu_partition": "gpux"}, "the partition gpux; there are: cpu, gpu, sxm, urgent"),
    "GPUs": ({"gpu_model": "h100"}, "1 h100 GPU on a node; in the partition gpu there are 4 a100"),
    "cores": ({"gpu_step_cores": 8}, "8 cores on a node; in the partition gpu there are 4 at most"),
}


REFUSED = r"SLURM could never run finetune \(2 of its jobs\): it asks for {}"
LATER = r"SLURM could never run {} \(to which decisions may lead\): it asks for {}"


@pytest.mark.parametrize("part", BEYOND)
def test_a_start_is_refused_that_asks_for_what_no_node_has(fresh: OnCluster, part: str) -> None:
    site, words = BEYOND[part]
    fresh.site(**site)

    assert re.search(f"warning: {REFUSED.format(words)}", fresh.run("--dry-run"))
    refusal = fresh.run(status=1)

    assert re.search(f"error: nothing was started .*^{REFUSED.format(words)}", refusal, re.DOTALL | re.MULTILINE), (
        refusal
    )
    assert not fresh.jobs()


def test_what_is_not_known_before_the_start_is_no_reason_to_warn(fresh: OnCluster) -> None:
    """Which partition it will be, what a quality of service allows, what inputs that are not there come to."""
    fresh.site(cpu_partition=None, gpu_partition=None, qos="long", longest_minutes=10**6)
    fresh.workspace.change("resources", {"start_minutes": 10**5})
    by_size = "judge:mem_mb=max(2*input.size_mb,4000)"

    plan = fresh.run("--dry-run", "--set-resources", by_size, "finetune:cpus_per_task=1", "finetune:gpu=1")

    assert "GPU hours" in plan
    assert "could never run" not in plan


def test_a_larger_volume_that_could_never_be_trained_is_refused_at_once(fresh: OnCluster) -> None:
    """A day is the most in the partition; volume 0 takes minutes, but the loop may go on to the second."""
    fresh.site(longest_minutes=3000)
    fresh.workspace.change("training.max_steps", None)
    fresh.workspace.change("estimate", {"billion_parameters": {"gemma": 2, "llama": 2}})
    fresh.workspace.change("tasks.animals.volumes", [0, 200_000])

    refusal = fresh.run(status=1)

    assert re.search(LATER.format("finetune", r"[\d,]+ minutes; the most in the partition gpu is 1,440"), refusal)
    assert "(the site's longest_minutes)" in refusal
    assert not fresh.jobs()


def test_a_request_that_grows_beyond_the_limit_fails(fresh: OnCluster) -> None:
    """A step that begins anew each time gets more time each time, here too much in the second attempt."""
    fresh.site(longest_minutes=2000)
    fresh.workspace.change("resources", {"start_minutes": 800})
    (fresh.folder / "scripts/coverage.py").write_text("raise SystemExit('no luck')\n")

    output = fresh.run("coverage", status=1)

    assert [job.state for job in fresh.jobs("read_coverage")] == ["FAILED"]
    assert "not submitted: it asks for 1,600 minutes; the most in the partition cpu is 1,440" in output
    assert output.count("is not submitted") == 1, "it is not asked for again"


def test_a_step_that_has_run_out_of_all_memory_there_is_fails_alone_and_leaves_what_there_was(fresh: OnCluster) -> None:
    """Were the start refused, one step would keep all others from going on."""
    fresh.run("coverage")
    tables = sorted((fresh.folder / "results/coverage/animals").glob("*.parquet"))
    before = [table.read_bytes() for table in tables]
    grown = {"read_coverage task=animals": 9}
    (fresh.folder / "results/settings/out_of_memory.json").write_text(json.dumps(grown))

    output = fresh.run("coverage", "--forcerun", "read_coverage", status=1)

    assert re.search(r"read_coverage for \S+ is not submitted: it asks for 1\d\d,\d+ MB on a node; .*128,000", output)
    assert output.count("is not submitted") == 1
    assert len(fresh.jobs("read_coverage")) == 1, "the first"
    assert re.search(r"^  not submitted: it asks for 1\d\d,\d+ MB", fresh.typed("status.py"), re.MULTILINE)
    assert tables
    assert [table.read_bytes() for table in tables] == before


def test_what_could_never_follow_a_decision_is_refused_at_once(fresh: OnCluster) -> None:
    """Merging holds the weights four times, on a node without GPU: days of training would come before it."""
    fresh.workspace.change("estimate", {"billion_parameters": {"gemma": 2, "llama": 20}})

    warning, refusal = fresh.run("--dry-run"), fresh.run(status=1)

    words = r"1\d\d,\d+ MB on a node; in the partition cpu there are 128,000 at most \(the site's cpu_partition or req"
    assert re.search(LATER.format("deploy_model", words), warning), warning
    assert re.search(LATER.format("deploy_model", words), refusal), refusal
    assert "could never run finetune" not in refusal
    fresh.site(requests={"deploy_model": {"mem_mb": 100_000, "threads": 2}})
    assert "could never run" not in fresh.run("--dry-run")


def test_a_type_of_gpu_with_a_hyphen_is_asked_for(fresh: OnCluster) -> None:
    fresh.site(gpu_partition="sxm", gpu_model=DETECTED_TYPE)

    fresh.run(ADAPTER)

    (training,) = fresh.jobs("finetune")
    assert (training.state, training.partition) == ("COMPLETED", "sxm")
    assert f"TresPerJob=gres:gpu:{DETECTED_TYPE}:1" in told("scontrol", "show", "job", training.id)


def test_a_site_may_take_gpus_by_gres_only_and_no_arrays(fresh: OnCluster) -> None:
    fresh.site(gpu_option="gres", array_limit=1)

    fresh.run(ADAPTER, OTHER_ADAPTER)

    trainings = fresh.jobs("finetune")
    assert [job.state for job in trainings] == ["COMPLETED"] * 2
    assert not any("_" in job.id for job in trainings)
    assert all("gres:gpu:a100:1" in told("scontrol", "show", "job", job.id) for job in trainings)
