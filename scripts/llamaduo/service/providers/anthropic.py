"""Anthropic's messages. https://platform.claude.com/docs/en/api/messages"""

from collections.abc import Mapping, Sequence
from typing import Any

import anthropic
import httpx2

from llamaduo.config.services import ServiceSettings
from llamaduo.service.interface import Answer, Request, StopReason
from llamaduo.service.journal.identity import schema_of
from llamaduo.service.providers.prompt_cache import Block, marked
from llamaduo.service.providers.samples import Sample, Usage, as_answers
from llamaduo.service.providers.transport import (
    Observe,
    answer_in_error,
    failure,
    open_http,
    parsed,
    reading,
    retry_after,
    unanswered,
    vendor_message,
)
from llamaduo.service.providers.turns import split_system

Client = anthropic.AsyncAnthropic | anthropic.AsyncAnthropicVertex | anthropic.AsyncAnthropicBedrock

STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}
NOT_OF_THE_SDK = ("temperature", "top_p")
"""Fields of the API that the SDK's call has no parameters for."""


class AnthropicProvider:
    """The service's model behind the Anthropic SDK. `address`: the SDK's base_url, the same for a simulated service."""

    def __init__(self, service: ServiceSettings, address: str | None, key: str | None, observe: Observe) -> None:
        self._service, self._key = service, key
        self._client = self._open(address, open_http(service, observe))

    def _open(self, address: str | None, http: httpx2.AsyncClient) -> Client:
        return anthropic.AsyncAnthropic(
            api_key=self._key,
            base_url=address,
            max_retries=0,
            timeout=self._service.timeout_seconds,
            http_client=http,
        )

    async def _headers(self) -> dict[str, str]:
        """What each request's headers hold besides what the SDK puts there."""
        return {}

    async def ask(self, request: Request, headers: Mapping[str, str], samples: int = 1) -> list[Answer]:
        content = body(self._service, request, samples)
        further = {name: content.pop(name) for name in NOT_OF_THE_SDK if name in content}
        try:
            response = await self._client.messages.with_raw_response.create(
                **content, extra_body=further, extra_headers={**headers, **await self._headers()}
            )
        except anthropic.APIStatusError as error:
            return [self._answer_or_raise(error, request)]
        except anthropic.APIConnectionError as error:
            raise unanswered(error) from error
        with reading():
            return answers(parsed(response.http_response), samples)

    async def close(self) -> None:
        await self._client.close()

    def _answer_or_raise(self, error: anthropic.APIStatusError, request: Request) -> Answer:
        status, message, code = error.status_code, vendor_message(error.body, error.message), self._code(error)
        answer = answer_in_error(status, message, code, max_tokens=request.generation.max_tokens, key=self._key)
        if answer is None:
            after = retry_after(error.response.headers)
            raise failure(status, after, message, code, service=self._service, key=self._key) from error
        return answer

    def _code(self, error: anthropic.APIStatusError) -> str | None:
        """The error's kind in the words of whoever serves the model."""
        return error.type


def body(service: ServiceSettings, request: Request, samples: int = 1) -> dict[str, Any]:
    """The JSON of a call, which is also the `params` of a batch's request. The API gives one sample, whatever asked."""
    generation = request.generation
    system: str | list[Block]
    turns: Sequence[Mapping[str, Any]]
    system, turns = split_system(request.messages)
    if service.prompt_caching:
        system, turns = marked(system, turns, service.model, request.repeated)
    content: dict[str, Any] = {"model": service.model, "messages": list(turns), "max_tokens": generation.max_tokens}
    if system:
        content["system"] = system
    if generation.temperature is not None:
        content["temperature"] = generation.temperature
    if generation.top_p is not None:
        content["top_p"] = generation.top_p
    if (schema := schema_of(service, request)) is not None:
        form = {"type": "json_schema", "schema": anthropic.transform_schema(schema)}
        content["output_config"] = {"format": form}
    return content


def answers(content: Mapping[str, Any], samples: int = 1) -> list[Answer]:
    """The one answer in a message's JSON. Raises `Transient` for what is no whole message."""
    with reading():
        reason, usage = content["stop_reason"], content["usage"]
        cached, written = (usage.get(f"cache_{name}_input_tokens") or 0 for name in ("read", "creation"))
        sample = Sample(
            "".join(block["text"] for block in content["content"] if block["type"] == "text"),
            STOP_REASONS.get(reason, "other"),
            reason,
        )
        charged = Usage(
            # Of the three counts none holds another.
            prompt_tokens=usage["input_tokens"] + cached + written,
            completion_tokens=usage["output_tokens"],
            cached_tokens=cached,
            cache_write_tokens=written,
        )
        return as_answers([sample], charged, samples)
