"""Starts of the workflow that end before its end, by Ctrl-C or by a kill, and what they leave behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from workspace import Workspace, clean_environment

PATIENCE_SECONDS = 600
# The lock that a kill leaves behind is the subject of test_kills.py.
COMMAND = ("--configfile", "config.yaml", "--profile", "profiles/demo", "--cores", "1", "--nolock")
FINISHED_RULE = re.compile(r"^Finished jobid: \d+ \(Rule: (\w+)\)$", re.MULTILINE)
TABLES = ("coverage", "synthesis", "datasets", "runs", "baselines")
"""Folders of the results in which everything follows from the config, the prompts and the data."""


def interrupted_start(
    workspace: Workspace, output: Path, sign: signal.Signals, is_moment: Callable[[str], bool], *targets: str
) -> int | None:
    """Start the workflow and send a signal to it and its jobs at the moment that what it has printed tells.

    Returns its exit status if it ended by itself before, else None.
    """
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", *COMMAND, *targets],
            cwd=workspace.folder,
            env=clean_environment(),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group of its own, to which the jobs belong
        )
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while not is_moment(output.read_text()):
            if process.poll() is not None:
                return process.returncode
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.02)
        os.killpg(process.pid, sign)
        process.wait(PATIENCE_SECONDS)
        return None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def has_finished(rules: Collection[str]) -> Callable[[str], bool]:
    """The moment at which a job of one of the rules has finished."""
    return lambda output: not set(rules).isdisjoint(FINISHED_RULE.findall(output))


def tables_of(workspace: Workspace) -> dict[str, Any]:
    """All tables and other artifacts of a workspace by their paths; without dates, which tell when calls were made."""
    found: dict[str, Any] = {}
    for path in sorted(path for folder in TABLES for path in workspace.path(folder).rglob("*")):
        name = str(path.relative_to(workspace.path("")))
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            found[name] = table.drop(columns="dates", errors="ignore").to_json(orient="records")
        elif path.is_file():
            found[name] = path.read_bytes()
    return found
