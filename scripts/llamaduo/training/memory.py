"""What happens when memory runs out: smaller forward passes, more of them; the optimiser step stays what it is."""

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from llamaduo.cli.errors import InputError
from llamaduo.storage.files import read_json, write_json

ENOUGH_FOR_A_GPU = 2048
"""Tokens per pass under which matrix products no longer fill a GPU: recomputing activations then costs less."""
FILE = "memory.json"


@dataclass(frozen=True)
class Footprint:
    """How much is in memory at once: tokens of a forward pass, and whether activations are computed again."""

    tokens_per_pass: int
    activation_checkpointing: bool
    may_checkpoint: bool = True

    def smaller(self, longest: int) -> "Footprint":
        """What to try after memory ran out in a pass of which the longest example has `longest` tokens.

        Raises `InputError` when nothing is left to try.
        """
        halves = self.tokens_per_pass // 2
        can_checkpoint = self.may_checkpoint and not self.activation_checkpointing
        if can_checkpoint and (halves < ENOUGH_FOR_A_GPU or self.tokens_per_pass <= longest):
            return replace(self, activation_checkpointing=True)
        if self.tokens_per_pass <= longest:
            raise InputError(
                f"out of memory with a single example of {longest} tokens: lower training.max_length, use method "
                "qlora, more GPUs (training.hardware.processes), or GPUs with more memory"
            )
        return replace(self, tokens_per_pass=halves)

    def save(self, folder: Path) -> None:
        """Keep it for the job that continues the training in `folder`."""
        write_json(folder / FILE, asdict(self))

    def saved(self, folder: Path) -> "Footprint":
        """What a job before found to fit, where that is less than this."""
        try:
            before = read_json(folder / FILE)
            return replace(
                self,
                tokens_per_pass=min(self.tokens_per_pass, int(before["tokens_per_pass"])),
                activation_checkpointing=self.activation_checkpointing
                or (self.may_checkpoint and bool(before["activation_checkpointing"])),
            )
        except (OSError, ValueError, KeyError):
            return self


def tell(before: Footprint, now: Footprint, per_step: int) -> None:
    """Say what changed and what did not."""
    changed = (
        "activations are computed again in the backward pass"
        if now.activation_checkpointing != before.activation_checkpointing
        else f"forward passes are of at most {now.tokens_per_pass} tokens"
    )
    print(
        f"out of memory with forward passes of up to {before.tokens_per_pass} tokens: from here on {changed}; "
        f"optimiser steps stay at {per_step} examples",
        file=sys.stderr,
        flush=True,
    )
