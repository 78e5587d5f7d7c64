"""Anthropic's models on Google's Vertex AI. https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai"""

import anthropic
import httpx2

from llamaduo.config.services import ServiceSettings
from llamaduo.service.providers.anthropic import AnthropicProvider
from llamaduo.service.providers.clouds import AccessToken, google_credentials, location_of
from llamaduo.service.providers.google_errors import code_of
from llamaduo.service.providers.transport import Observe


class AnthropicVertexProvider(AnthropicProvider):
    """The service's model behind the Anthropic SDK's client for Vertex AI."""

    def __init__(self, service: ServiceSettings, address: str | None, key: str | None, observe: Observe) -> None:
        credentials, self._project = google_credentials(service, key)
        self._token = AccessToken(credentials)
        super().__init__(service, address, key, observe)

    def _open(self, address: str | None, http: httpx2.AsyncClient) -> anthropic.AsyncAnthropicVertex:
        return anthropic.AsyncAnthropicVertex(
            region=location_of(self._service) or "",
            project_id=self._project,
            base_url=f"{address}/v1" if address and self._service.is_simulated else address,
            max_retries=0,
            timeout=self._service.timeout_seconds,
            http_client=http,
        )

    async def _headers(self) -> dict[str, str]:
        # The SDK would refresh a token that ran out as often as there are requests in flight.
        return {"Authorization": f"Bearer {await self._token.get()}"}

    def _code(self, error: anthropic.APIStatusError) -> str | None:
        inner = error.body.get("error") if isinstance(error.body, dict) else None
        return code_of(error.status_code, inner) if isinstance(inner, dict) else error.type
