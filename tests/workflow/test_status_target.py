"""`snakemake status` beside a main process that is at work, which holds Snakemake's lock on the folder."""

import json
import os
import signal
import subprocess
import sys
import time

from workspace import Workspace, clean_environment

CHUNK = "results/synthesis/animals/writer/chunk-0.parquet"
PATIENCE_SECONDS = 120


def test_the_status_is_shown_while_the_workflow_runs_and_leaves_it_alone(fresh: Workspace) -> None:
    fresh.change("services.writer.simulation", {"latency_seconds": 600})
    command = [sys.executable, "-m", "snakemake", "--configfile", "config.yaml", "--profile", "profiles/demo"]
    command += ["--cores", "2", CHUNK]
    with subprocess.Popen(
        command,
        cwd=fresh.folder,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a process group of its own, to which the jobs belong
    ) as main:
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            journals = fresh.folder / "state/journal/synthesis"
            while not list(journals.rglob("*.jsonl")):
                assert main.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
            starts, settings = fresh.path("settings/starts.jsonl"), fresh.path("settings/config.json")
            failed = fresh.path("settings/failed.json")
            failed.write_text(json.dumps({"failed": [{"rule": "judge", "outputs": ["a"], "log": "b"}]}))
            before = starts.read_text(), settings.read_text(), failed.read_text()
            fresh.change("services.writer.requests_per_minute", 30)

            shown = fresh.snakemake("--cores", "1", "--quiet", "all", "--", "status")

            assert shown.returncode == 0, shown.stdout + shown.stderr
            assert "animals" in shown.stdout and "failed: judge: a" in shown.stdout
            assert (starts.read_text(), settings.read_text(), failed.read_text()) == before
            refused = fresh.snakemake("--cores", "1", CHUNK)
            assert refused.returncode and "in use by process" in refused.stderr, "the lease is held all the same"
            assert main.poll() is None
        finally:
            os.killpg(main.pid, signal.SIGKILL)
