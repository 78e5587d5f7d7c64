"""A GPU that PyTorch cannot use is told before anything is computed."""

from pathlib import Path

import pytest

from llamaduo.cli.errors import MachineError
from llamaduo.models import gpus
from llamaduo.models.gpus import GIVEN, WORKER, check_gpus

VERSION = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82.01\nGCC version: 9\n"


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a driver says, on a machine where SLURM has given no GPU and PyTorch is not to see any."""
    for name in (*GIVEN, WORKER):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    file = tmp_path / "version"
    file.write_text(VERSION)
    return file


@pytest.mark.parametrize("given", GIVEN)
def test_a_job_stops_whose_gpu_pytorch_cannot_use(driver: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(given, "0")

    with pytest.raises(MachineError, match=r"a GPU that PyTorch cannot use: PyTorch \d\S+ is built for .*470\.82"):
        check_gpus(driver)


def test_a_pytorch_that_cannot_be_loaded_is_told(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GIVEN[0], "0")
    monkeypatch.setattr(gpus, "LOOK", "import no_such_module")

    with pytest.raises(MachineError, match="PyTorch that cannot be loaded"):
        check_gpus(driver)


def test_the_processes_of_a_training_do_not_look_again(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GIVEN[0], "0")
    monkeypatch.setattr(gpus, "LOOK", "print('2.0', '12.1')")

    check_gpus(driver)

    monkeypatch.setattr(gpus, "LOOK", "raise SystemExit(1)")
    monkeypatch.setenv(WORKER, "1")
    check_gpus(driver)


def test_without_a_gpu_given_or_a_driver_the_processor_computes(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "LOOK", "raise SystemExit(1)")

    check_gpus(driver)
    monkeypatch.setenv(GIVEN[0], "0")
    check_gpus(driver.with_name("none"))
