"""The commands that rules make, as a dry-run prints them, and the options that programs make of them."""

import importlib.util
import re
import shlex
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from workspace import REPOSITORY, Workspace

from llamaduo.cli.program import parse
from llamaduo.config.load import validate
from llamaduo.service.prompts import load
from llamaduo.workflow.layout import Results, State
from llamaduo.workflow.settings import Steps

PRINTED = re.compile(r"^Shell command: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """A program's command line in a rule."""

    program: str
    arguments: tuple[str, ...]
    folder: Path

    def options(self) -> dict[str, Any]:
        """The typed options that the program starts with, made as it makes them itself."""
        with chdir(self.folder):
            return parse(main_of(self.program), None, self.arguments)


def commands_of(workspace: Workspace, *targets: str) -> list[Command]:
    """The commands of all jobs of a dry-run, with the settings files that the programs read when they are run."""
    write_settings(workspace)
    done = workspace.snakemake("--cores", "2", "--dry-run", "--printshellcmds", *targets)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    return [command_in(text, workspace.folder) for text in PRINTED.findall(done.stdout + done.stderr)]


def write_settings(workspace: Workspace) -> None:
    """Write what a start of the workflow writes for its programs."""
    with chdir(workspace.folder):
        config = validate(workspace.config, "config.yaml")
        Steps(config, load(Path(config.prompts)), Results(Path(config.results)), State(Path(config.state))).write()


def command_in(text: str, folder: Path) -> Command:
    """The command in a rule's shell text: what stands between the interpreter and the log."""
    words = shlex.split(text)
    [start] = [place for place, word in enumerate(words) if word.endswith(".py")]
    return Command(Path(words[start]).stem, tuple(words[start + 1 : words.index("2>&1")]), folder)


@cache
def main_of(program: str) -> Callable[..., None]:
    """The function that a program makes its options for."""
    spec = importlib.util.spec_from_file_location(f"program_{program}", REPOSITORY / "scripts" / f"{program}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main
