"""`make cancel` ends jobs that no main process looks after."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from llamaduo.cli.errors import InputError
from llamaduo.cluster.submitted import MAIN_PROCESS
from llamaduo.storage.lease import lease

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cancel", REPOSITORY / "scripts/cancel.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_refuses_while_a_main_process_lives(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    with (
        lease(tmp_path / "results" / MAIN_PROCESS, "the workflow"),
        pytest.raises(InputError, match=r"in use by process .* stop it with Ctrl-C"),
    ):
        program.main(config=REPOSITORY / "config/config.yaml", folder=tmp_path)
