"""The params of the rules: what Snakemake compares of a step, and the command that runs it.

A param made by a function that takes `resources` is not compared: so are commands, since another interpreter, folder or
file of settings changes no result.
"""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.workflow.fingerprint import OTHER_ENGINES, fingerprint
from llamaduo.workflow.settings import Steps
from llamaduo.workflow.wildcards import Wildcards, given, signed

SUBMITTED = ".submitted.json"
"""The end of the name of a note that batches were submitted."""


@dataclass(frozen=True)
class Params:
    """The params of a config's steps. `python`: the interpreter; `scripts`: the folder of the programs."""

    steps: Steps
    python: str
    scripts: str

    def command(self, program: str, *arguments: object) -> str:
        """The command that runs a program."""
        return shlex.join([self.python, f"{self.scripts}/{program}", *map(str, arguments)])

    def plain(self, program: str, *arguments: object) -> Callable[..., str]:
        """The same as a param."""
        return signed(lambda wildcards, resources: self.command(program, *arguments))

    def step(self, kind: str) -> dict[str, Any]:
        """The params of a kind of step: command, fingerprint of its code, and what of its settings is compared."""
        one = self.steps.kinds[kind]

        def names(wildcards: Wildcards) -> tuple[str, ...]:
            return tuple(wildcards.get(name, "0") for name in one.about)

        def command(wildcards: Wildcards, resources: Any) -> str:
            return self.with_settings(kind, names(wildcards))

        return {
            "command": signed(command),
            "code": fingerprint(one.program),
            "settings": signed(lambda wildcards: self.steps.compared(kind, names(wildcards))),
        }

    def with_settings(self, kind: str, names: tuple[str, ...]) -> str:
        """The command that runs a step on its settings."""
        return self.command(self.steps.kinds[kind].program, "--from-config", self.steps.file(kind, names))

    def code_of_responses(self, task: str, model: str, volume: str = "0") -> str:
        """The code of a local LLM's responses, without that of the engine that is not used."""
        return fingerprint("respond.py", without=OTHER_ENGINES[self.steps.engine(task, model, volume)])


def asking(name_of: Callable[..., str]) -> Callable[..., str]:
    """A step's output, and its name among those that ask services; one that only submits batches says so."""

    def options(wildcards: Wildcards, output: Any, resources: Any) -> str:
        submits = " --asking.submit true" if output[0].endswith(SUBMITTED) else ""
        return f"--output {output[0]} --asking.step {given(name_of, wildcards)}{submits}"

    return signed(options)


def chunk_range(chunks: Sequence[str]) -> str:
    """All chunks of a pool as one word, which the shell takes apart: chunk-{0..9}.parquet."""
    return f"{Path(chunks[0]).parent}/chunk-{{0..{len(chunks) - 1}}}.parquet"
