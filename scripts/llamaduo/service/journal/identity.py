"""What makes two calls the same: the journal's key of a request."""

import hashlib
from typing import Any

from llamaduo.config.services import ServiceSettings
from llamaduo.service.interface import Request
from llamaduo.storage.canonical import canonical, digest

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


class Spelling:
    """Spells the records of one service's requests, faster than `record` and `canonical` do.

    Requests that follow one another mostly share their messages, schema and generation, whose spelling is kept.
    """

    def __init__(self, service: ServiceSettings) -> None:
        self._service = service
        self._parts: dict[str, tuple[object, str]] = {}
        self._end = f',"simulated":{canonical(True)}}}' if service.is_simulated else "}"
        self._names = f'"model":{canonical(service.model)},"provider":{canonical(service.provider)}'

    def spell(self, request: Request, attempt: int) -> tuple[str, str]:
        """The journal's key of a request, and its record as canonical JSON."""
        generation = self._part("generation", request.generation)
        messages = self._part("messages", request.messages)
        schema = self._part("schema", schema_of(self._service, request))
        text = (
            f'{{"attempt":{attempt},"generation":{generation},"messages":{messages},{self._names},'
            f'"replicate":{request.replicate},"schema":{schema}{self._end}'
        )
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH], text

    def _part(self, name: str, value: Any) -> str:
        known, text = self._parts.get(name, (self, ""))
        if known is not value:
            if name == "generation":
                text = canonical(value.model_dump(exclude_none=True))
            else:
                text = canonical(list(value) if isinstance(value, tuple) else value)
            self._parts[name] = value, text
        return text
