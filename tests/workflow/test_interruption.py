"""What the workflow says at its end when the user has interrupted it."""

import os
import signal
import subprocess
import sys

from workspace import Workspace, clean_environment


def test_ctrl_c_is_told_as_an_interruption_and_not_as_a_failure_of_jobs(fresh: Workspace) -> None:
    # The step awaits the calls in flight; the first sample's are answered, the second's are not asked any more.
    fresh.change("services.writer.simulation", {"latency_seconds": 4})
    fresh.change("services.writer.concurrency", 1)
    target = "results/baselines/animals/writer/responses.parquet"
    command = [sys.executable, "-m", "snakemake", "--configfile", "config.yaml", "--profile", "profiles/demo"]
    with subprocess.Popen(
        [*command, "--cores", "1", target],
        cwd=fresh.folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as snakemake:
        assert snakemake.stdout is not None
        for line in snakemake.stdout:
            if line.startswith("responses of writer"):
                break
        os.killpg(snakemake.pid, signal.SIGINT)
        said = snakemake.stdout.read()

    assert snakemake.returncode == 1
    assert "\ninterrupted: the same command continues.\n" in said, said
    assert "Some jobs failed" not in said
