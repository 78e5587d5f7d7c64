"""From a service's settings to its vendor's SDK. A further provider is one module and one line here."""

from llamaduo.config.services import ServiceSettings
from llamaduo.errors import InputError
from llamaduo.service.interface import Provider
from llamaduo.service.keys import find_key, missing_key


def open_provider(name: str, service: ServiceSettings, address: str | None) -> Provider:
    """The service `name`, reached at `address` (None: where its vendor stands). Raises `InputError` without a key."""
    key = find_key(service)
    if key is None:
        raise InputError(f"service {name}: {missing_key(service)}")
    # Each vendor's SDK takes a second to import, so only the one that is used is.
    if service.provider == "openai":
        from llamaduo.service.openai import OpenAIProvider

        return OpenAIProvider(service, address, key)
    if service.provider == "anthropic":
        from llamaduo.service.anthropic import AnthropicProvider

        return AnthropicProvider(service, address, key)
    from llamaduo.service.gemini import GeminiProvider

    return GeminiProvider(service, address, key)
