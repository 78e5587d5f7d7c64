"""SLURM, munge and MariaDB from the distribution's packages, installed so that nothing of them runs by itself."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from processes import ClusterError

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge", "slurmdbd", "mariadb-server")
PROGRAMS = {
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "srun": None,
    "munged": "munge",
    "slurmdbd": "slurmdbd",
    "mariadbd": "mariadb",
}
"""What is needed, and the services that the packages would have started with the machine."""
POLICY = Path("/usr/sbin/policy-rc.d")
START_NOTHING = "#!/bin/sh\nexit 101\n"


def missing_programs() -> list[str]:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [program for program in PROGRAMS if shutil.which(program, path=path) is None]


def install_command() -> str:
    return f"apt-get install {' '.join(PACKAGES)}"


def install() -> None:
    """Install the packages that are missing, where this user and this distribution allow it."""
    missing = missing_programs()
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(f"SLURM is missing, and installing it needs root on Debian or Ubuntu: {install_command()}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with _no_service_starts():
        for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
            subprocess.run(["apt-get", "-qq", *command], env=environment, stdout=sys.stderr, check=True)
    if Path("/run/systemd/system").is_dir():
        services = [service for program in missing if (service := PROGRAMS[program])]
        subprocess.run(["systemctl", "disable", "--quiet", *services], check=False)


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Have packages start no service while they are installed, unless the machine has a rule of its own for that."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text(START_NOTHING)
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
