"""A finished micro sweep, computed once, that tests copy and change."""

import json
import os
import sys
from pathlib import Path

import pytest
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from leaks import COMMAND_LINES, FAKE_KEY, FAKE_KEYS, command_lines_with
from tiny_models import build_tiny_model
from workspace import Workspace, micro_config, new_workspace, pairs


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one test run see."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random models of two architectures, built once for all of pytest's processes."""
    folder = shared_folder(tmp_path_factory) / "models"
    families = ("gemma", "llama")
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            making = tmp_path_factory.mktemp("models")
            for family in families:
                build_tiny_model(family, making / family)
            making.rename(folder)
    return {family: folder / family for family in families}


@pytest.fixture
def fresh(tmp_path: Path, models: dict[str, Path]) -> Workspace:
    """A workspace with micro settings in which nothing is computed yet."""
    return prepared(tmp_path / "workspace", models)


def prepared(folder: Path, models: dict[str, Path]) -> Workspace:
    workspace = new_workspace(folder)
    (folder / "pairs").mkdir()
    for split, rows in (("train", pairs(12)), ("test", pairs(3, start=100))):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "pairs" / f"{split}.jsonl").write_text(text)
    workspace.write_config(micro_config(models))
    return workspace


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory, models: dict[str, Path]) -> Workspace:
    """A workspace with a finished sweep, computed once for all of pytest's processes. Tests take a copy."""
    workspace = Workspace(shared_folder(tmp_path_factory) / "swept")
    with FileLock(f"{workspace.folder}.lock"):
        if not workspace.folder.exists():
            sweep = prepared(tmp_path_factory.mktemp("swept") / "workspace", models)
            with command_lines_with(FAKE_KEY) as told:
                sweep.run("sweep", environment=FAKE_KEYS)
            (sweep.folder / COMMAND_LINES).write_text("\n".join(told))
            sweep.folder.rename(workspace.folder)
    return workspace


@pytest.fixture
def finished(swept: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished sweep."""
    return swept.copy(tmp_path / "copy")
