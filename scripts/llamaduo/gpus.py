"""GPUs that a job was given must be ones that PyTorch can use: else it would compute on the processor for hours."""

import os
from pathlib import Path

from llamaduo.errors import MachineError

DRIVER = Path("/proc/driver/nvidia/version")
"""What NVIDIA's driver says of itself, where there is one."""
GIVEN = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_GPUS_ON_NODE")


def check_gpus(driver: Path = DRIVER) -> None:
    """Raise `MachineError` where SLURM has given this job GPUs of NVIDIA's that PyTorch cannot use.

    Where there is no driver the GPUs are pretended, or not NVIDIA's, and PyTorch uses what it finds.
    """
    if not any(os.environ.get(name) for name in GIVEN) or not driver.is_file():
        return
    import torch

    if torch.cuda.is_available():
        return
    built = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "for the processor only"
    told = driver.read_text(encoding="utf-8").splitlines()[0].strip()
    raise MachineError(
        f"{os.uname().nodename}: this job has a GPU that PyTorch cannot use: PyTorch {torch.__version__} is built "
        f"{built}; the driver there: {told}. If other nodes are no better, install the build of PyTorch that this "
        "driver can run (README, SLURM)"
    )
