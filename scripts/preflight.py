"""Refuse wrong input before anything is paid for: look for API keys and models, read the whole coverage dataset."""

from pathlib import Path

from llamaduo.cli.program import run


def main(config: Path, services: list[str] | None = None, models: bool = True, coverage: bool = True) -> None:
    """Check what the config names.

    Args:
        config: the config, in YAML or JSON
        services: names of the services whose API keys must be there; default: all that the config's steps call
        models: whether the models in folders on this machine must be there
        coverage: whether every row of the coverage dataset must be usable
    """
    from llamaduo.config.load import load
    from llamaduo.workflow.preflight import check, services_used

    settings = load(config)
    check(settings, services_used(settings) if services is None else services, models, coverage)


if __name__ == "__main__":
    run(main, __doc__)
