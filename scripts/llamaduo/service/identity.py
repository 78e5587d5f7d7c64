"""What makes two calls the same: the journal's key of a request."""

from typing import Any

from llamaduo.canonical import digest
from llamaduo.config.services import ServiceSettings
from llamaduo.service.interface import Request

KEY_LENGTH = 32


def record(service: ServiceSettings, request: Request, attempt: int) -> dict[str, Any]:
    """Whatever determines the answer to a request: not where the service stands, nor how the call is made.

    One call may ask for several samples, or go through a batch API: the answers are the same ones.
    """
    content = {
        "provider": service.provider,
        "model": service.model,
        "messages": list(request.messages),
        "schema": schema_of(service, request),
        "generation": request.generation.model_dump(exclude_none=True),
        "replicate": request.replicate,
        "attempt": attempt,
    }
    # A simulated answer must never stand in for a real one that is asked for later under the same name.
    return content | ({"simulated": True} if service.is_simulated else {})


def key(service: ServiceSettings, request: Request, attempt: int) -> str:
    """The journal's key of the `attempt`-th asking (from 0) of a request."""
    return digest(record(service, request, attempt), KEY_LENGTH)


def schema_of(service: ServiceSettings, request: Request) -> dict[str, Any] | None:
    """The JSON schema that is sent along: none to a service that knows no structured output."""
    return request.json_schema if service.structured_output else None
