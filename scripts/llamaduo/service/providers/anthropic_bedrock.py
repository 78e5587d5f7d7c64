"""Anthropic's models on Amazon Bedrock. https://platform.claude.com/docs/en/build-with-claude/claude-on-amazon-bedrock"""

from collections.abc import Mapping

import anthropic
import httpx2
from botocore.exceptions import BotoCoreError

from llamaduo.service.interface import Answer, Rejected, Request
from llamaduo.service.providers.anthropic import AnthropicProvider
from llamaduo.service.providers.clouds import location_of
from llamaduo.service.providers.transport import one_line


class AnthropicBedrockProvider(AnthropicProvider):
    """The service's model behind the Anthropic SDK's client for Bedrock: with an API key, or AWS's own credentials."""

    def _open(self, address: str | None, http: httpx2.AsyncClient) -> anthropic.AsyncAnthropicBedrock:
        return anthropic.AsyncAnthropicBedrock(
            api_key=self._key,
            aws_region=location_of(self._service),
            base_url=address,
            max_retries=0,
            timeout=self._service.timeout_seconds,
            http_client=http,
        )

    async def ask(self, request: Request, headers: Mapping[str, str], samples: int = 1) -> list[Answer]:
        try:
            return await super().ask(request, headers, samples)
        except BotoCoreError as error:
            raise Rejected(f"AWS's credentials cannot be used ({one_line(str(error), self._key or '')})") from error
