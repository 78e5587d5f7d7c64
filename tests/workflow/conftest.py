"""A finished micro sweep, computed once, that tests copy and change."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from tiny_models import build_tiny_model
from workspace import Workspace, micro_config, new_workspace, pairs


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random models of two architectures."""
    folder = tmp_path_factory.mktemp("models")
    return {family: build_tiny_model(family, folder / family) for family in ("gemma", "llama")}


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
    """A workspace with a finished sweep. Tests take a copy."""
    workspace = prepared(tmp_path_factory.mktemp("swept") / "workspace", models)
    workspace.run("sweep")
    return workspace


@pytest.fixture
def finished(swept: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the finished sweep."""
    return swept.copy(tmp_path / "copy")
