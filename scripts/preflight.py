"""Refuse wrong input before anything is paid for: read the whole coverage dataset, look for models and API keys."""

from pathlib import Path

from llamaduo.program import run


def main(config: Path, need_keys: bool = True) -> None:
    """Check what the config names.

    Args:
        config: the config, in YAML or JSON
        need_keys: whether the services' API keys must be there
    """
    from llamaduo.config.load import load
    from llamaduo.preflight import check

    check(load(config), need_keys)


if __name__ == "__main__":
    run(main, __doc__)
