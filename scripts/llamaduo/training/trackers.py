"""Where a training's losses are shown while it runs: TensorBoard files always, other trackers where asked for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llamaduo.cli.errors import InputError

if TYPE_CHECKING:
    from llamaduo.training.trainer import FineTuner


def check_trackers(names: Sequence[str]) -> None:
    """Raise `InputError` for a tracker that transformers does not know, or whose package is not installed."""
    from transformers.integrations.integration_utils import (
        INTEGRATION_TO_CALLBACK,
        get_available_reporting_integrations,
    )

    available = get_available_reporting_integrations()
    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            raise InputError(
                f"training.report_to: unknown tracker {name!r}; known: {', '.join(sorted(INTEGRATION_TO_CALLBACK))}"
            )
        if name not in available:
            raise InputError(f"training.report_to: the package of {name!r} is not installed here")


def add_tensorboard(trainer: "FineTuner", folder: Path) -> None:
    """Write the trainer's losses into TensorBoard files in `folder`."""
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    trainer.add_callback(TensorBoardCallback(SummaryWriter(str(folder))))
