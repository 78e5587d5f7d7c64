"""Running a workspace on the test cluster: the profile, what is in the queue, and waiting for the right moment."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from cluster import Cluster, told
from workspace import Workspace, clean_environment

from llamaduo.cluster import submitted
from llamaduo.cluster.submitted import Submitted

SITE = {"first_poll_seconds": 1, "gpu_step_cores": 1, "latency_seconds": 30}
"""Site values of the test cluster; the rest is as the profile has it."""
PATIENCE_SECONDS = 400
ADAPTER = "results/runs/animals/coverage/gemma/volume-0/adapter"
OTHER_ADAPTER = ADAPTER.replace("gemma", "llama")


def use_site(workspace: Workspace, **values: Any) -> None:
    """Let a workspace have the profile where users look for it, and the site's values."""
    if not (link := workspace.folder / "slurm").is_symlink():
        link.symlink_to("profiles/slurm")
    (workspace.folder / "site.yaml").write_text(json.dumps({**SITE, **values}))


@dataclass(frozen=True)
class Job:
    """A job as the cluster remembers it. `step` is the rule with its wildcards, of an array those of its first task."""

    id: str
    state: str
    partition: str
    gpus: str
    step: str
    node: str
    name: str


@dataclass
class OnCluster:
    """A workspace and the cluster that it runs on."""

    workspace: Workspace
    cluster: Cluster

    @property
    def folder(self) -> Path:
        return self.workspace.folder

    def site(self, **values: Any) -> None:
        """Set site values, as a user does in a file of their own."""
        use_site(self.workspace, **values)

    def command(self, *arguments: str) -> list[str]:
        # The profile is looked for by its name, as users give it.
        snakemake = [sys.executable, "-m", "snakemake", "--configfile", "config.yaml", "--profile", "slurm"]
        return [*snakemake, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment() | {"LLAMADUO_SITE": str(self.folder / "site.yaml")}

    def run(self, *arguments: str, status: int = 0, patience: float = PATIENCE_SECONDS) -> str:
        """The workflow to its end, through SLURM. Returns what it printed."""
        with self.started(*arguments) as process:
            return self.finish(process, status, patience)

    def finish(self, process: subprocess.Popen[str], status: int = 0, patience: float = PATIENCE_SECONDS) -> str:
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not finished\n{self.output()[-6000:]}\n{told('squeue')}") from None
        assert process.returncode == status, self.output()[-8000:]
        return self.output()

    @contextmanager
    def started(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """The workflow while it runs; it is interrupted at the end of the block if it still does."""
        with (self.folder / "output.txt").open("w") as output:
            process = subprocess.Popen(
                self.command(*arguments), cwd=self.folder, env=self.environment, stdout=output, stderr=output, text=True
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()

    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def jobs(self, rule: str = "", states: str = "all") -> list[Job]:
        """The jobs of a rule that the cluster remembers from this workspace, oldest first."""
        fields = "%i\x1f%T\x1f%P\x1f%b\x1f%k\x1f%N\x1f%j\x1f%Z"
        lines = told("squeue", "--noheader", "--array", f"--states={states}", f"--format={fields}").splitlines()
        rows = [line.split("\x1f") for line in lines]
        jobs = [Job(*row[:7]) for row in rows if Path(row[7]) == self.folder]
        found = [job for job in jobs if job.step.startswith(f"rule_{rule}")]
        return sorted(found, key=lambda job: [int(part) for part in job.id.split("_")])

    def wait_until(self, reached: Callable[[], Any], process: subprocess.Popen[str]) -> None:
        """Wait for a moment in a running workflow, which must not end before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not reached():
            assert process.poll() is None, f"ended with {process.returncode} too early\n{self.output()[-6000:]}"
            assert time.monotonic() < deadline, (
                f"not reached\n{self.output()[-6000:]}\n{told('squeue', '--states=all')}"
            )
            time.sleep(0.05)

    def is_training(self) -> bool:
        """Whether a training has made a step and a checkpoint of it."""
        return self.trainings_under_way() > 0

    def trainings_under_way(self) -> int:
        """How many trainings have made a step and a checkpoint of it, and are not through."""
        return len({path.parents[1] for path in self.folder.glob("state/checkpoints/*/checkpoint-*/complete.json")})

    def noted(self, output: str) -> Submitted:
        """What was noted of the job that was submitted last for an output."""
        jobs = submitted.read(self.folder / self.workspace.config["results"] / submitted.SUBMITTED).values()
        return [job for job in jobs if job.output == output][-1]

    def programs(self, name: str) -> list[psutil.Process]:
        """The running programs of a name, wherever the cluster has put them: all nodes are this machine."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                command = process.cmdline()
                is_program = len(command) > 1 and command[1].endswith(f"/scripts/{name}")
                if is_program and process.cwd() == str(self.folder):
                    found.append(process)
        return found

    def program(self, name: str) -> psutil.Process:
        """The running program of a step."""
        found = self.programs(name)
        assert found, f"{name} does not run"
        return found[0]

    def typed(self, program: str) -> str:
        """What a program prints that a user starts by hand in the workflow's folder."""
        command = [sys.executable, f"scripts/{program}", "--config", "config.yaml"]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def training_log(self) -> str:
        return (self.folder / "results/logs/finetune/animals/coverage/gemma/volume-0.log").read_text()
