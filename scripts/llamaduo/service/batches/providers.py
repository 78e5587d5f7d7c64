"""From a service's settings to its vendor's batch API. A further vendor is one module and one line here."""

from llamaduo.cli.errors import InputError
from llamaduo.config.services import ServiceSettings
from llamaduo.service.batches.interface import BatchProvider
from llamaduo.service.providers.keys import find_key, missing_key


def open_batches(name: str, service: ServiceSettings) -> BatchProvider:
    """The batches of the service `name`. Raises `InputError` without a key."""
    key = find_key(service)
    if key is None:
        raise InputError(f"service {name}: {missing_key(service)}")
    # Each vendor's SDK takes a second to import, so only the one that is used is.
    if service.provider == "openai":
        from llamaduo.service.batches.openai import OpenAIBatches

        return OpenAIBatches(service, service.base_url, key)
    if service.provider == "anthropic":
        from llamaduo.service.batches.anthropic import AnthropicBatches

        return AnthropicBatches(service, service.base_url, key)
    from llamaduo.service.batches.gemini import GeminiBatches

    return GeminiBatches(service, service.base_url, key)
