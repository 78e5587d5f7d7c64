"""A GPU that PyTorch cannot use is told before anything is computed."""

from pathlib import Path

import pytest
import torch

from llamaduo.errors import MachineError
from llamaduo.gpus import GIVEN, check_gpus

VERSION = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82.01\nGCC version: 9\n"


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a driver says, on a machine where PyTorch finds no GPU and SLURM has given none."""
    for name in GIVEN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    file = tmp_path / "version"
    file.write_text(VERSION)
    return file


@pytest.mark.parametrize("given", GIVEN)
def test_a_job_stops_whose_gpu_pytorch_cannot_use(driver: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(given, "0")

    with pytest.raises(MachineError, match=r"a GPU that PyTorch cannot use: PyTorch .* is built .*470\.82"):
        check_gpus(driver)


def test_a_job_goes_on_with_a_gpu_that_pytorch_can_use(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(GIVEN[0], "0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    check_gpus(driver)


def test_without_a_gpu_given_or_a_driver_the_processor_computes(driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_gpus(driver)
    monkeypatch.setenv(GIVEN[0], "0")
    check_gpus(driver.with_name("none"))
