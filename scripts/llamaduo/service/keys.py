"""API keys: read from the environment when a call is to be made, and kept nowhere else."""

import os

from llamaduo.config.services import KEY_VARIABLES, ServiceSettings

COMMON_KEY_VARIABLE = "SERVICE_LLM_API_KEY"
SIMULATED_KEY = "simulated"  # the SDKs insist on a key; the simulated service does not look at it


def key_variables(service: ServiceSettings) -> tuple[str, ...]:
    """The environment variables that may hold the key, in the order in which they are looked at."""
    if service.api_key_variable is not None:
        return (service.api_key_variable,)
    return (*KEY_VARIABLES[service.provider], COMMON_KEY_VARIABLE)


def find_key(service: ServiceSettings) -> str | None:
    """The key of a service; None when no variable holds one."""
    if service.is_simulated:
        return SIMULATED_KEY
    keys = (os.environ.get(variable, "").strip() for variable in key_variables(service))
    return next((key for key in keys if key), None)


def missing_key(service: ServiceSettings) -> str | None:
    """What to set when a service's key is missing; None when there is one, or none is needed."""
    if find_key(service) is not None:
        return None
    return f"no API key for {service.provider}: set the environment variable {' or '.join(key_variables(service))}"
