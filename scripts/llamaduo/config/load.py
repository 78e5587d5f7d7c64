"""From a config's plain values to validated settings, with messages that name file, line and key."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llamaduo.cli.errors import InputError
from llamaduo.cli.program import Where, describe
from llamaduo.cli.secrets import secrets
from llamaduo.config import prices
from llamaduo.config.root import Config
from llamaduo.config.sources import Sources, read

WORKFLOW = Path(__file__).parents[3]
"""The folder of the Snakefile, when this is run from a clone."""
KEYS_OF_NOTHING = ("simulation.key",)
"""Where the config itself may hold an API key: that of a simulated service."""


def validate(values: Any, source: str | Sources) -> Config:
    """The config made from plain values, prices looked up; raises `InputError` with a line per wrong key.

    `source` is where the values come from: the files that were read, or what to call them.
    """
    where: Where = source.where if isinstance(source, Sources) else lambda place, text: source
    if not isinstance(values, dict):
        raise InputError(f"{where((), '')}: a mapping of keys is expected, not {type(values).__name__}")
    if found := list(secrets(values, KEYS_OF_NOTHING)):
        raise InputError(
            "\n".join(f"{where(place, text)}: {'.'.join(map(str, place))}: {text}" for place, text in found)
        )
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise InputError(describe(error, where, Config)) from error
    return _with_prices(_with_own_files(config), where)


def load(path: Path) -> Config:
    """The config in a YAML file."""
    source = read(path)
    return validate(source.values, Sources([source]))


def _with_own_files(config: Config) -> Config:
    """The config with the workflow's own prompts and prices where none are named and the current folder has none."""
    chosen = {}
    for key in ("prompts", "prices"):
        default = Config.model_fields[key].default
        if getattr(config, key) == default and not Path(default).is_file() and (WORKFLOW / default).is_file():
            chosen[key] = str(WORKFLOW / default)
    return config.model_copy(update=chosen)


def _with_prices(config: Config, where: Where) -> Config:
    """The config with the price of every service that the file of prices knows."""
    path = Path(config.prices)
    # Only a list that someone named must be there: a report is also rendered where there is no workflow.
    named = config.prices != Config.model_fields["prices"].default
    known = prices.load(path) if named or path.is_file() else None
    services = {
        name: service
        if service.price is not None or known is None
        else service.model_copy(update={"price": known.of(service)})
        for name, service in config.services.items()
    }
    if config.budget_usd is not None:
        place = where(("budget_usd",), "")
        for name, service in services.items():
            # A simulated service without a price costs nothing; with one it is metered, to rehearse a budget.
            if service.price is None and not service.is_simulated:
                raise InputError(
                    f"{place}: budget_usd: what {service.model!r} of services.{name} charges is not known, so the "
                    f"budget could not be kept; add services.{name}.price (dollars per million tokens: prompt, "
                    f"completion), or the model to {config.prices}"
                )
    return config.model_copy(update={"services": services})
