"""List the batches that are under way at the vendors, cancel them, or forget those that are gone."""

from pathlib import Path
from typing import Literal

from llamaduo.cli.program import run
from llamaduo.config.services import ServiceSettings


def main(
    *,
    do: Literal["list", "cancel", "forget"] = "list",
    config: Path = Path("results/settings/config.json"),
    service_name: str | None = None,
    step: str | None = None,
) -> None:
    """Look after batches by hand. The workflow itself needs none of this.

    Args:
        do: list shows what is recorded; cancel asks the vendors to stop what is under way, and the next start of the
            workflow fetches what was answered; forget gives up batches that the vendor no longer knows, so that their
            calls are submitted again, and paid for again if the vendor has answered them after all
        config: the settings that the workflow was last started with
        service_name: only batches of this service
        step: only batches of the step at this place among all batches, or below it
    """
    from llamaduo.cli.errors import InputError
    from llamaduo.cli.program import existing_file
    from llamaduo.config.root import Config
    from llamaduo.service.batches.asking import run_with_provider
    from llamaduo.service.batches.interface import BatchProvider
    from llamaduo.service.batches.records import Batch, Step, steps_below
    from llamaduo.service.batches.review import forget, line
    from llamaduo.storage.files import read_json
    from llamaduo.workflow.layout import State

    settings = Config.model_validate(
        read_json(existing_file(config, "--config: it is written when the workflow starts"))
    )
    root = State(Path(settings.state)).batches
    chosen = [found for found in steps_below(root / (step or "")) if service_name in (None, found.service)]
    if service_name is not None and service_name not in settings.services:
        raise InputError(f"--service-name: {service_name!r} is not one of {', '.join(settings.services)}")

    def under_way(found: Step) -> list[Batch]:
        return [batch for batch in found.open_batches() if batch.ending is None]

    def cancel(name: str, service: ServiceSettings, batches: list[Batch]) -> None:
        async def each(provider: BatchProvider) -> None:
            for batch in batches:
                if batch.id is not None:
                    await provider.cancel(batch.id)
                    print(f"cancelling {batch.id}")

        run_with_provider(name, service, each)

    shown = 0
    for found in chosen:
        for batch in found.open_batches():
            print(line(found, batch, root))
            shown += 1
        name = found.service or ""
        if do == "cancel" and under_way(found):
            cancel(name, settings.services[name], under_way(found))
        if do == "forget":
            forget(found, under_way(found))
    if not shown:
        print(f"no batches under way or to be collected below {root / (step or '')}")


if __name__ == "__main__":
    run(main, __doc__)
