"""The cluster, and small workspaces that run on it with the profile that users have."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))
sys.path.insert(0, str(Path(__file__).parent))

from cluster import Cluster
from on_cluster import ADAPTER, OnCluster, use_site
from tiny_models import build_tiny_model
from workspace import Workspace, clean_environment, micro_config, new_workspace, pairs

# Enough steps for something to happen to a training, and a checkpoint after each.
TRAINING_STEPS = 40


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The test cluster, with accounting where a module says `ACCOUNTING = True`."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    os.environ.pop("SLURM_CONF", None)
    one = Cluster()
    try:
        one.start(accounting=getattr(request.module, "ACCOUNTING", False))
        yield one
    finally:
        one.stop()


@pytest.fixture(autouse=True)
def quiet(cluster: Cluster) -> Iterator[None]:
    """No job of a test is left for the next, and all nodes are there."""
    yield
    cluster.cancel_all()
    cluster.wait_for_nodes()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    for family in ("gemma", "llama"):
        build_tiny_model(family, folder / family)
    return {family: folder / family for family in ("gemma", "llama")}


def prepared(folder: Path, models: dict[str, Path], **sections: object) -> Workspace:
    """A workspace in which nothing is computed yet, as a fresh clone with a site's values and a small config."""
    workspace = new_workspace(folder)
    use_site(workspace)
    (folder / "pairs").mkdir()
    for split, rows in (("train", pairs(12)), ("test", pairs(3, start=100))):
        (folder / "pairs" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    workspace.write_config(micro_config(models, **sections))
    return workspace


@pytest.fixture(scope="session")
def demo_to_run(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The demo, with its models and its dataset built and nothing computed."""
    workspace = new_workspace(tmp_path_factory.mktemp("demo") / "workspace")
    build = [sys.executable, "scripts/build_demo.py"]
    subprocess.run(build, cwd=workspace.folder, check=True, capture_output=True, env=clean_environment())
    shutil.copy(workspace.folder / "config/demo.yaml", workspace.folder / "config.yaml")
    return workspace


@pytest.fixture(scope="session")
def sweeping(tmp_path_factory: pytest.TempPathFactory, demo_to_run: Workspace) -> Iterator[Future[Workspace]]:
    """The demo's sweep on this machine while the same runs on the cluster: most of the time that waits for SLURM."""

    def sweep() -> Workspace:
        workspace = demo_to_run.copy(tmp_path_factory.mktemp("local") / "workspace")
        # It may take its time beside three clusters.
        workspace.run("sweep", timeout=1800)
        return workspace

    with ThreadPoolExecutor(1) as executor:
        yield executor.submit(sweep)


@pytest.fixture
def fresh(tmp_path: Path, models: dict[str, Path], cluster: Cluster) -> OnCluster:
    return OnCluster(prepared(tmp_path / "workspace", models), cluster)


def long_training(workspace: Workspace) -> None:
    workspace.change("training.max_steps", TRAINING_STEPS)
    workspace.change("training.checkpoint_minutes", 0)


@pytest.fixture(scope="session")
def covered(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Workspace:
    """A workspace for a long training, whose coverage dataset was read on this machine."""
    workspace = prepared(tmp_path_factory.mktemp("covered") / "workspace", models)
    long_training(workspace)
    workspace.run("coverage")
    return workspace


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, covered: Workspace) -> Workspace:
    """One undisturbed training on this machine, without SLURM."""
    workspace = covered.copy(tmp_path_factory.mktemp("training") / "workspace")
    workspace.run(ADAPTER)
    return workspace


@pytest.fixture
def training(tmp_path: Path, covered: Workspace, cluster: Cluster) -> OnCluster:
    """A workspace whose training can be disturbed in the middle."""
    return OnCluster(covered.copy(tmp_path / "workspace"), cluster)


@pytest.fixture
def training_anew(fresh: OnCluster) -> OnCluster:
    """The same, with nothing done yet."""
    long_training(fresh.workspace)
    return fresh
