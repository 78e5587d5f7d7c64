"""What a step that asks a service is told of journals, costs, batches and the budget; made by the workflow."""

from pathlib import Path

from llamaduo.cli.errors import InputError
from llamaduo.config.base import Section
from llamaduo.config.budget import BudgetSettings


class AskingStep(Section):
    """How the calls of one step are recorded and paid for. It changes no answer."""

    step: str = ""
    """The step's name, such as judging/baselines/TASK/MODEL/JUDGE: its place in the folders below."""
    journals: Path
    """Folder of all journals: append-only files of service calls. This step's is journals/step.jsonl."""
    costs: Path | None = None
    """Folder of what answers cost; this step's table is costs/step.parquet. None: not written."""
    batches: Path | None = None
    """Folder of all steps' batches, under way and ended; None: everything is asked at once."""
    budget: BudgetSettings | None = None
    """What all steps of the workflow may spend; the step stops before the call that would exceed it."""
    submit: bool = False
    """Only submit what is missing to the vendor's batch API, and write a note of it to the output."""

    @property
    def journal(self) -> Path:
        """The journal of the step."""
        if not self.step:
            raise InputError("--asking.step: missing; it names the step's journal")
        return self.journals / f"{self.step}.jsonl"
