"""Wait until a step's batches have ended, and fetch what they answered; uses next to no processor time."""

import shutil
from pathlib import Path

from llamaduo.cli.program import run
from llamaduo.config.asking import AskingStep
from llamaduo.config.services import ServiceSettings


def main(
    *,
    service_name: str,
    service: ServiceSettings,
    asking: AskingStep,
    step: str,
    submitted: Path,
    answered: Path,
) -> None:
    """Wait for the batches of one step. May be ended and started again at any time.

    Of the processes that wait for one service, one asks the vendor, for all of them; it also submits again what
    batches left unanswered.

    Args:
        service_name: the service's name in the config
        service: the service LLM
        asking: the folder of all steps' batches, and the budget
        step: the step's place in that folder
        submitted: file that tells that the step was submitted
        answered: file to write when the step's answers are here, equal to the former
    """
    from llamaduo.service.batches.asking import wait
    from llamaduo.storage.files import atomic_path

    # After a change to online the step that collects decides what becomes of batches.
    batches = asking.batches
    if service.mode == "batch" and batches is not None and (batches / step).exists():
        wait(service_name, service, batches, batches / step, f"batches of {step}", asking.budget)
    with atomic_path(answered) as path:
        shutil.copyfile(submitted, path)


if __name__ == "__main__":
    run(main, __doc__)
