"""The processes of the test cluster: what is its own, and how it ends; no other process is ever touched.

Its daemons carry a variable in their environment, which neither a process id that is used again nor a real cluster on
the same machine has. Jobs get the cluster's name from SLURM.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

NUMBER = int(os.environ.get("LLAMADUO_TEST_CLUSTER_NUMBER", "0"))
"""Of the cluster: 0 is the only one that the whole machine sees, others stand beside it (see all_tests.py)."""
NAME = f"llamaduotests{NUMBER or ''}"
"""Of the cluster."""
FOLDER = Path(os.environ.get("LLAMADUO_TEST_CLUSTER", "/tmp/llamaduo-test-cluster") + (f"-{NUMBER}" if NUMBER else ""))
"""Its state, logs and process ids."""
MARK = "LLAMADUO_TEST_DAEMON"
"""The variable that the cluster's daemons carry, with its name."""
PATIENCE_SECONDS = 120


class ClusterError(Exception):
    """The cluster cannot be started here, or did not come up."""


def daemons(name: str | None = None) -> Iterator[psutil.Process]:
    """The cluster's daemons, or those of a name."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            is_ours = process.environ().get(MARK) == NAME and process.pid != os.getpid()
            if name in {None, process.name()} and is_ours:
                yield process


def processes_of_jobs() -> Iterator[psutil.Process]:
    """The processes that jobs of this cluster run, and SLURM's keepers of their steps."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("SLURM_CLUSTER_NAME") == NAME or _is_keeper(process):
                yield process


def _is_keeper(process: psutil.Process) -> bool:
    """Whether a process keeps a step of this cluster: it works where the log of its node's daemon is."""
    return process.name().startswith("slurmstepd") and process.cwd().startswith(f"{FOLDER}/")


def node_of(process: psutil.Process) -> str | None:
    """The node that a process belongs to; a keeper of a step is asked for that of the program that it started."""
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            node = one.environ().get("SLURMD_NODENAME")
            if node:
                return node
    return None


def end(process: psutil.Process, seconds: float = 10) -> None:
    """Ask a process to end, and kill it when it does not."""
    with suppress(psutil.NoSuchProcess):
        for ask in (process.terminate, process.kill):
            ask()
            deadline = time.monotonic() + seconds
            while lives(process):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.02)
            else:
                return


def lives(process: psutil.Process) -> bool:
    """Whether a process runs; one that has ended may stay listed until somebody asks for its status."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def wait_until(reached: Callable[[], bool], what: str, log: Path | None, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log and log.is_file() else ""
            raise ClusterError(f"waited {seconds:g} s for {what}\n{tail}")
        time.sleep(0.1)


def run(*command: str, daemon: bool = False) -> None:
    """Run a command; one that leaves a daemon behind marks it as the cluster's."""
    environment = {**os.environ, MARK: NAME} if daemon else None
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise ClusterError(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def told(*command: str) -> str:
    """What a command prints; nothing when it fails."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False).stdout


def answers(*command: str) -> bool:
    """Whether a program is there, and a daemon answers it."""
    if shutil.which(command[0]) is None:
        return False
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode == 0 and "DOWN" not in done.stdout
