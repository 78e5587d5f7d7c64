"""Under which key an unfinished training is kept: the code that decides its weights is part of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llamaduo.workflow.fingerprint import SCRIPTS

KEY_OF = """
import sys
from pathlib import Path
from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.training.checkpoints import state_key
print(state_key(Path(sys.argv[1]), ModelSettings(path=sys.argv[2]), TrainingSettings(), None))
"""


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """A folder with a dataset, a model and the code."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "data.parquet").write_bytes(b"rows")
    shutil.copytree(SCRIPTS, tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def key_of(training: Path, model: str = "model") -> str:
    command = [sys.executable, "-c", KEY_OF, str(training / "data.parquet"), str(training / model)]
    environment = {"PYTHONPATH": str(training / "scripts"), "PYTHONDONTWRITEBYTECODE": "yes"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def edit(training: Path, module: str, old: str, new: str) -> None:
    path = training / "scripts" / "llamaduo" / module
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def test_a_fix_in_the_loss_mask_begins_anew_and_a_message_does_not(training: Path) -> None:
    first = key_of(training)
    edit(training, "training/mask.py", "    input_ids, labels =", "    print('checking')\n    input_ids, labels =")
    for module in ("training/trackers.py", "storage/files.py"):
        with (training / "scripts" / "llamaduo" / module).open("a") as file:
            file.write("\n\ndef nothing() -> None:\n    return None\n")
    assert key_of(training) == first

    edit(training, "training/examples.py", "- self.completion] = IGNORED", "- self.completion - 1] = IGNORED")
    assert key_of(training) != first


def test_a_moved_model_goes_on(training: Path) -> None:
    first = key_of(training)
    (training / "model").rename(training / "moved")
    assert key_of(training, "moved") == first
