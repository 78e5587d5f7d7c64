"""From a service's settings to its vendor's SDK. A further provider is one module and one line here."""

from importlib import import_module

from llamaduo.cli.errors import InputError
from llamaduo.config.services import ServiceSettings
from llamaduo.service.interface import Provider
from llamaduo.service.providers.keys import find_key, missing_key
from llamaduo.service.providers.transport import Observe, ignore

_GEMINI = "llamaduo.service.providers.gemini", "GeminiProvider"
PROVIDERS: dict[tuple[str, str | None], tuple[str, str]] = {
    ("openai", None): ("llamaduo.service.providers.openai", "OpenAIProvider"),
    ("anthropic", None): ("llamaduo.service.providers.anthropic", "AnthropicProvider"),
    ("anthropic-vertex", None): ("llamaduo.service.providers.anthropic_vertex", "AnthropicVertexProvider"),
    ("anthropic-bedrock", None): ("llamaduo.service.providers.anthropic_bedrock", "AnthropicBedrockProvider"),
    ("gemini", None): _GEMINI,
    ("gemini", "google-genai"): _GEMINI,
    ("gemini", "google-generativeai"): ("llamaduo.service.providers.google_generativeai", "OlderGeminiProvider"),
    ("gemini-vertex", None): _GEMINI,
}
"""The module and class of each provider and SDK."""


def open_provider(name: str, service: ServiceSettings, address: str | None, observe: Observe = ignore) -> Provider:
    """The service `name`, reached at `address` (None: where its vendor stands). Raises `InputError` without a key.

    `observe` is told the headers of every response.
    """
    if missing := missing_key(service):
        raise InputError(f"service {name}: {missing}")
    # Each vendor's SDK takes a second to import, so only the one that is used is.
    module, provider = PROVIDERS[service.provider, service.sdk]
    opened: Provider = getattr(import_module(module), provider)(service, address, find_key(service), observe)
    return opened
