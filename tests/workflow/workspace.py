"""A copy of the workflow in a folder of its own, with tiny models and the simulated service, to run for real."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "rules", "scripts", "config", "profiles", "environment.yaml")
JOB_COUNT = re.compile(r"^(\w+)\s+(\d+)$", re.MULTILINE)
NOTHING = "Nothing to be done"


@dataclass
class Workspace:
    """One copy of the workflow and the config it runs with."""

    folder: Path
    python: Path = Path(sys.executable)
    """What runs the programs."""

    @property
    def config(self) -> dict[str, Any]:
        return yaml.safe_load((self.folder / "config.yaml").read_text())

    def write_config(self, config: Mapping[str, Any]) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(dict(config), sort_keys=False))

    def change(self, path: str, value: Any) -> None:
        """Set one key of the config, given as a dotted path."""
        config = self.config
        *parents, last = path.split(".")
        section: Any = config
        for key in parents:
            section = section[key]
        section[last] = value
        self.write_config(config)

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a file of the workflow."""
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} holds no {old!r}"
        path.write_text(text.replace(old, new, 1))

    def snakemake(
        self, *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        start = "import sys; sys.executable = sys.argv.pop(1); from snakemake.cli import main; main()"
        command = [sys.executable, "-c", start, str(self.python), "--configfile", "config.yaml", *arguments]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=clean_environment() | dict(environment or {}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def run(self, *targets: str, environment: Mapping[str, str] | None = None, timeout: float = 600) -> str:
        """Run the workflow to its end and return what it printed."""
        arguments = ("--profile", "profiles/demo", "--cores", "2", *targets)
        done = self.snakemake(*arguments, environment=environment, timeout=timeout)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output[-8000:]
        return output

    def plan(self, *targets: str) -> dict[str, int]:
        """The jobs that a dry-run lists, by rule; empty when there is nothing to be done."""
        done = self.snakemake("--profile", "profiles/demo", "--dry-run", *targets)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output[-8000:]
        return jobs_in(output)

    def copy(self, folder: Path) -> "Workspace":
        """The same state elsewhere, with its times and its provenance."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Workspace(folder)

    def path(self, path: str) -> Path:
        return self.folder / "results" / path


def jobs_in(output: str) -> dict[str, int]:
    """The table of jobs in what Snakemake printed, without the target and the total."""
    if NOTHING in output:
        return {}
    table = output.split("Job stats:", 1)[1].split("\n\n", 1)[0]
    jobs = {rule: int(count) for rule, count in JOB_COUNT.findall(table)}
    return {rule: count for rule, count in jobs.items() if rule not in {"total", "all", "sweep", "coverage", "deploy"}}


def clean_environment() -> dict[str, str]:
    """This environment without keys, without network for the Hub, and with one thread per process.

    A process takes the packages of the folder that it is started in: a workspace has a copy of its own.
    """
    kept = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_TOKEN"))}
    return kept | {
        "PYTHONPATH": "scripts",
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def new_workspace(folder: Path) -> Workspace:
    """An empty workspace: the workflow as it is in the repository, nothing computed."""
    folder.mkdir(parents=True)
    for part in PARTS:
        source = REPOSITORY / part
        if source.is_dir():
            shutil.copytree(source, folder / part)
        else:
            shutil.copy2(source, folder / part)
    return Workspace(folder)


def pairs(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Pairs in the No Robots layout, each about another animal, so that no two are near-duplicates."""
    animals = ["otter", "heron", "badger", "lynx", "toad", "magpie", "salmon", "hornet", "walrus", "gecko", "bison"]
    places = ["river", "meadow", "attic", "harbour", "orchard", "cellar", "quarry", "marsh", "rooftop", "hedge"]
    rows = []
    for number in range(start, start + count):
        animal, place = animals[number % len(animals)], places[(number * 7) % len(places)]
        prompt = f"Number {number}: which {place} would a {animal} choose when {place} {number % 13} floods at dawn?"
        answer = f"The {animal} chooses {place} {number % 13}, since it knows its way there. It waits for noon."
        rows.append(
            {
                "prompt": prompt,
                "prompt_id": f"pair-{number}",
                "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}],
                "category": "Animals",
            }
        )
    return rows


def micro_config(models: Mapping[str, Path], **sections: Any) -> dict[str, Any]:
    """A config that takes seconds per step: random tiny models, two optimiser steps, the simulated service.

    Keys that save no time stay at their defaults, as users run them.
    """
    config: dict[str, Any] = {
        "results": "results",
        "state": "state",
        "coverage": {"source": "pairs"},
        "tasks": {"animals": {"categories": ["Animals"], "generators": ["writer"], "volumes": [0, 6, 12]}},
        "services": {
            "writer": {"provider": "openai", "model": "simulated-writer", "base_url": "simulated"},
            "grader": {"provider": "anthropic", "model": "simulated-grader", "base_url": "simulated"},
        },
        "models": {name: {"path": str(path)} for name, path in models.items()},
        "judges": ["grader"],
        "synthesis": {"pairs_per_call": 4, "chunk_calls": 2, "minimum_yield": 0.1},
        # The simulated writer's pairs are alike: at the defaults a volume of 12 takes many more calls.
        "curation": {"rouge_threshold": 0.9},
        # The default, qlora, loads another library for seconds; test_shipped_configs.py has it.
        "training": {"method": "lora", "max_steps": 2},
        "inference": {"samples": 2, "max_new_tokens": 8},
        "judging": {"grades": 2},
        # Random models reach no threshold: every run goes on to its last volume.
        "decision": {"epsilon": {"mean": 100, "coverage": None}},
    }
    return {**config, **sections}
