"""What the partitions of a cluster can run, read from what sinfo prints."""

import math

import pytest

from snakemake_executor_plugin_llamaduo.partitions import Nodes, Request, gpus_of, obstacle, parse

LINES = [
    "short*|4:00:00|128|515000|(null)|(null)|",
    "long|infinite|64|250000|(null)|rome|",
    "gpu|2-00:00:00|48|1000000|gpu:a100:4(S:0-1)|a100_80gb,nvlink|",
    "gpu|2-00:00:00|64+|500000+|gpu:a100:8(S:0,3),gpu:v100:2(S:1)|a100_40gb|",
]
CLUSTER = parse(line.rstrip("|").replace("|", "\x1f") for line in LINES)


def test_what_sinfo_prints_is_read() -> None:
    short, long, gpu, other = CLUSTER
    assert short == Nodes("short", 240, 128, 515_000, {}, frozenset())
    assert (long.minutes, long.features) == (math.inf, {"rome"})
    assert (gpu.minutes, gpu.gpus, gpu.features) == (2880, {"a100": 4}, {"a100_80gb", "nvlink"})
    assert (other.cores, other.megabytes, other.gpus) == (64, 500_000, {"a100": 8, "v100": 2})
    assert parse(["slurm_load_partitions: something else", ""]) == []


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", {}),
        ("gpu:4", {"": 4}),
        ("gpu", {"": 1}),
        ("gpu:a100", {"a100": 1}),
        ("gpu:a100_3g.20gb:2(S:0,1),gpu:a100_3g.20gb:2(S:2)", {"a100_3g.20gb": 4}),
        ("craynetwork:4,gpu:no_consume:8,nic:2", {"no_consume": 8}),
    ],
)
def test_gpus_are_counted_by_type(gres: str, gpus: dict[str, int]) -> None:
    assert gpus_of(gres) == gpus


@pytest.mark.parametrize(
    "request_",
    [
        Request(),
        Request(minutes=240, cores=128, megabytes=515_000),
        Request("long", minutes=10**6, feature="rome"),
        Request("gpu", minutes=2880, gpus=4, gpu_model="a100", feature="a100_80gb", cores=48, megabytes=10**6),
        Request("gpu", gpus=8, gpu_model="A100", cores=64, megabytes=500_000),
        Request("gpu", gpus=10),
        Request("gpu", feature="a100_80gb|h100"),
        Request("nowhere,long", minutes=10**6),
    ],
)
def test_what_some_node_has_is_no_obstacle(request_: Request) -> None:
    assert obstacle(request_, CLUSTER) is None


@pytest.mark.parametrize(
    ("request_", "part", "words"),
    [
        (Request("gpus"), "partition", "the partition gpus; there are: gpu, long, short"),
        (Request("short", minutes=241), "minutes", "241 minutes; the most in the partition short is 240"),
        (
            Request("gpu", gpus=1, gpu_model="h100"),
            "gpus",
            "1 h100 GPU on a node; in the partition gpu there are 2 v100, 4 a100, 8 a100",
        ),
        (
            Request("gpu", gpus=9, gpu_model="a100"),
            "gpus",
            "9 a100 GPUs on a node; in the partition gpu there are 2 v100, 4 a100, 8 a100",
        ),
        (Request("long", gpus=2), "gpus", "2 GPUs on a node; in the partition long there are none"),
        (
            Request("gpu", feature="h100"),
            "feature",
            "the feature h100 on a node; in the partition gpu there are a100_40gb, a100_80gb, nvlink",
        ),
        (Request("gpu", gpus=8, cores=65), "cores", "65 cores on a node; in the partition gpu there are 64 at most"),
        # Each is there, but not on one node.
        (
            Request("gpu", gpus=8, megabytes=600_000),
            "megabytes",
            "600,000 MB on a node; in the partition gpu there are 500,000 at most",
        ),
        (
            Request("short,long", minutes=241, cores=65),
            "cores",
            "65 cores on a node; in the partition long there are 64 at most",
        ),
    ],
)
def test_an_obstacle_names_what_is_asked_for_and_what_there_is(request_: Request, part: str, words: str) -> None:
    found = obstacle(request_, CLUSTER)
    assert found is not None
    assert (found.part, found.words) == (part, words)


def test_without_a_partition_it_may_be_any() -> None:
    """The cluster's default, or what is chosen when the job is submitted."""
    assert obstacle(Request(gpus=1, minutes=2880), CLUSTER) is None
    found = obstacle(Request(gpus=16), CLUSTER)
    assert found is not None
    assert found.part == "gpus"


def test_of_a_partition_whose_nodes_are_not_shown_only_the_limit_counts() -> None:
    """Those of a cloud, while they are switched off."""
    cloud = parse(["cloud|1:00:00|0|0|(null)|(null)".replace("|", "\x1f")])
    assert obstacle(Request("cloud", gpus=1, cores=8, megabytes=1000), cloud) is None
    assert obstacle(Request("cloud", minutes=61), cloud) is not None
