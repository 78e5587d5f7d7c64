"""GPUs that a job was given must be ones that PyTorch can use: else it would compute on the processor for hours."""

import os
import subprocess
import sys
from pathlib import Path

from llamaduo.cli.errors import MachineError

DRIVER = Path("/proc/driver/nvidia/version")
"""What NVIDIA's driver says of itself, where there is one."""
GIVEN = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "SLURM_GPUS_ON_NODE")
WORKER = "LOCAL_RANK"
"""Set for the processes of one training that a program starts (by PyTorch's launcher): they need not look again."""
LOOK = "import sys, torch; print(torch.__version__, torch.version.cuda); sys.exit(not torch.cuda.is_available())"


def check_gpus(driver: Path = DRIVER) -> None:
    """Raise `MachineError` where SLURM has given this job GPUs of NVIDIA's that PyTorch cannot use.

    Where there is no driver the GPUs are pretended, or not NVIDIA's, and PyTorch uses what it finds. Another process
    looks: in this one it would settle which GPUs are seen, and that none of its processes may be forks.
    """
    if WORKER in os.environ or not any(os.environ.get(name) for name in GIVEN) or not driver.is_file():
        return
    look = [sys.executable, "-c", LOOK]
    done = subprocess.run(look, capture_output=True, text=True, check=False)  # noqa: S603 - no outside words
    if done.returncode == 0:
        return
    version, cuda = done.stdout.split() or ["that cannot be loaded", "None"]
    built = f"for CUDA {cuda}" if cuda != "None" else "for the processor only"
    told = driver.read_text(encoding="utf-8").splitlines()[0].strip()
    raise MachineError(
        f"{os.uname().nodename}: this job has a GPU that PyTorch cannot use: PyTorch {version} is built "
        f"{built}; the driver there: {told}. If other nodes are no better, install the build of PyTorch that this "
        "driver can run (README, SLURM)"
    )
