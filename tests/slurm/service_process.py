"""The simulated service as a process of its own, so that its log tells what was really paid for."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workspace import REPOSITORY, clean_environment

PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Service:
    """Its address, and the file of what it has served."""

    address: str
    log: Path


@contextmanager
def running_service(folder: Path, latency_seconds: float = 0.0) -> Iterator[Service]:
    folder.mkdir(parents=True)
    address, log = folder / "address", folder / "served.jsonl"
    command = [sys.executable, str(REPOSITORY / "scripts/simulated_service.py"), f"--address-file={address}"]
    command += [f"--log={log}", f"--latency-seconds={latency_seconds}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=clean_environment()) as process:
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not address.is_file():
                assert process.poll() is None, f"the service ended with {process.returncode}"
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield Service(address.read_text().strip(), log)
        finally:
            process.terminate()
