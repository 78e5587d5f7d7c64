"""API keys: read from the environment when a call is to be made, and kept nowhere else."""

import os

from llamaduo.config.services import ServiceSettings
from llamaduo.config.vendors import KEY_VARIABLES, WITH_LOCATION, is_azure
from llamaduo.service.providers import clouds

COMMON_KEY_VARIABLE = "SERVICE_LLM_API_KEY"
AZURE_KEY_VARIABLE = "AZURE_OPENAI_API_KEY"
NO_KEY = "no-key-needed"
SIMULATED_KEY = "simulated"  # the SDKs insist on a key; a simulated service takes any, unless it is told one


def key_variables(service: ServiceSettings) -> tuple[str, ...]:
    """The environment variables that may hold the key, in the order in which they are looked at."""
    if service.api_key_variable is not None:
        return (service.api_key_variable,)
    own = KEY_VARIABLES[service.provider]
    if service.provider in WITH_LOCATION:
        # A key for all that were not meant for the cloud would hide the credentials that are.
        return own
    return (*((AZURE_KEY_VARIABLE,) if is_azure(service) else ()), *own, COMMON_KEY_VARIABLE)


def find_key(service: ServiceSettings) -> str | None:
    """The key of a service, or its access token; None when no variable holds one."""
    if service.is_simulated:
        return SIMULATED_KEY
    keys = (os.environ.get(variable, "").strip() for variable in key_variables(service))
    found = next((key for key in keys if key), None)
    return NO_KEY if found is None and _needs_no_key(service) else found


def missing_key(service: ServiceSettings) -> str | None:
    """What to set when a service's key, credentials, project or location are missing; None when all are there."""
    key = find_key(service)
    if key is not None and not (key.isascii() and key.isprintable()):
        return f"the API key in {' or '.join(key_variables(service))} holds characters that no key has; copy it anew"
    if service.provider in WITH_LOCATION:
        return "; ".join(clouds.missing(service, key)) or None
    if key is not None:
        return None
    return f"no API key for {service.provider}: set the environment variable {' or '.join(key_variables(service))}"


def _needs_no_key(service: ServiceSettings) -> bool:
    """Whether it is one's own server, such as vLLM's or Ollama's: no vendor lets a key travel over plain HTTP."""
    own = (service.base_url or "").startswith("http://")
    return service.provider == "openai" and own and service.api_key_variable is None
