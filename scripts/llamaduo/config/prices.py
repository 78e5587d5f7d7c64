"""The file `prices`: what service LLMs charge, by vendor and model."""

from datetime import date
from pathlib import Path

from pydantic import ValidationError

from llamaduo.cli.errors import InputError
from llamaduo.cli.program import describe
from llamaduo.config.base import Section
from llamaduo.config.services import Price, ServiceSettings
from llamaduo.config.sources import Sources, read


class Prices(Section):
    """A list of prices, in US dollars per million tokens."""

    as_of: date
    """The day on which the prices were last compared with the vendors' pages."""
    prices: dict[str, dict[str, Price]]
    """Prices by vendor (openai, anthropic, gemini) or provider (such as anthropic-bedrock) and the model's name."""

    def of(self, service: ServiceSettings) -> Price | None:
        """What a service charges, if it is in the list; a provider's own prices go before its vendor's."""
        for seller in (service.provider, service.vendor):
            price = self.prices.get(seller, {}).get(service.model)
            if price is not None:
                return price
        return None


def load(path: Path) -> Prices:
    """The prices in a YAML file; raises `InputError` when it is missing or wrong."""
    source = read(path, "prices, named by the key `prices` of the config")
    try:
        return Prices.model_validate(source.values)
    except ValidationError as error:
        raise InputError(describe(error, Sources([source]).where, Prices)) from error
