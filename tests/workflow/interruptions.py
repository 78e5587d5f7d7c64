"""Starts of the workflow that end before its end, by Ctrl-C or by a kill, and what they leave behind."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from workspace import Workspace, clean_environment

PATIENCE_SECONDS = 600
MOST_STARTS = 60
# The lock that a kill leaves behind is the subject of test_kills.py.
COMMAND = ("--configfile", "config.yaml", "--profile", "profiles/demo", "--cores", "1", "--nolock")
FINISHED_RULE = re.compile(r"^Finished jobid: \d+ \(Rule: (\w+)\)$", re.MULTILINE)
TABLES = ("coverage", "synthesis", "datasets", "runs", "baselines")
"""Folders of results that the config, the prompts and the data decide."""
ABOUT_THE_TRAINING = {"training-machine.json", "tensorboard"}
"""Files and folders in them that tell when and where a model was trained."""


def interrupted_start(
    workspace: Workspace, output: Path, sign: signal.Signals, is_moment: Callable[[str], bool]
) -> int | None:
    """Start the workflow, and send a signal to it and its jobs when its output so far says that it is time.

    Returns its exit status if it ends before that, else None.
    """
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "snakemake", *COMMAND],
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


def run_with_interruptions(
    workspace: Workspace, output: Path, signals: Iterable[signal.Signals], rules: Collection[str] = ()
) -> None:
    """Start the workflow again and again, each time interrupted by the next signal, until a start ends by itself.

    It is interrupted when a job of one of the rules has finished; without rules, when any job has.
    """
    for sign in itertools.islice(itertools.cycle(signals), MOST_STARTS):
        status = interrupted_start(workspace, output, sign, has_finished(rules))
        if status is not None:
            assert status == 0, output.read_text()
            return
    raise AssertionError(f"no end after {MOST_STARTS} starts\n{output.read_text()}")


def has_finished(rules: Collection[str]) -> Callable[[str], bool]:
    """Whether an output says that a job of one of the rules has finished, and so that its artifacts are recorded."""

    def is_moment(output: str) -> bool:
        finished = FINISHED_RULE.findall(output)
        return bool(finished) and (not rules or not set(rules).isdisjoint(finished))

    return is_moment


def tables_of(workspace: Workspace) -> dict[str, Any]:
    """All tables and other artifacts by their paths; without dates, which say when a call was made."""
    found: dict[str, Any] = {}
    for path in sorted(path for folder in TABLES for path in workspace.path(folder).rglob("*")):
        name = str(path.relative_to(workspace.path("")))
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
            found[name] = table.drop(columns="dates", errors="ignore").to_json(orient="records")
        elif path.is_file() and ABOUT_THE_TRAINING.isdisjoint(path.parts):
            found[name] = path.read_bytes()
    return found
