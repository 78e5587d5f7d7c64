"""Anthropic's messages. https://platform.claude.com/docs/en/api/messages"""

from collections.abc import Mapping
from typing import Any

import anthropic
from anthropic.types import Message

from llamaduo.config.services import ServiceSettings
from llamaduo.service.interface import Answer, Request, StopReason, Transient
from llamaduo.service.transport import (
    INCOMPLETE,
    answer_in_error,
    answered,
    failure,
    open_http,
    retry_after,
    vendor_message,
)
from llamaduo.service.turns import split_system

STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}


class AnthropicProvider:
    """The service's model behind the Anthropic SDK. `address`: the SDK's base_url, the same for a simulated service."""

    def __init__(self, service: ServiceSettings, address: str | None, key: str) -> None:
        self._service, self._key = service, key
        self._client = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=address,
            max_retries=0,
            timeout=service.timeout_seconds,
            http_client=open_http(service),
        )

    async def ask(self, request: Request, headers: Mapping[str, str], samples: int = 1) -> list[Answer]:
        try:
            message = await self._client.messages.create(
                **_body(self._service.model, request), extra_headers=dict(headers)
            )
        except anthropic.APIStatusError as error:
            return [self._answer_or_raise(error, request)]
        except anthropic.APIConnectionError as error:
            raise Transient(f"no answer: {error.__cause__ or error}") from error
        except anthropic.APIResponseValidationError as error:
            raise Transient(f"not an answer of this protocol: {error.message}") from error
        try:
            return [_answer(message)]
        except INCOMPLETE as error:
            raise Transient(f"not an answer of this protocol: {error}") from error

    async def close(self) -> None:
        await self._client.close()

    def _answer_or_raise(self, error: anthropic.APIStatusError, request: Request) -> Answer:
        status, message = error.status_code, vendor_message(error.body, error.message)
        answer = answer_in_error(status, message, error.type, max_tokens=request.generation.max_tokens, key=self._key)
        if answer is None:
            after = retry_after(error.response.headers)
            raise failure(status, after, message, error.type, service=self._service, key=self._key) from error
        return answer


def _body(model: str, request: Request) -> dict[str, Any]:
    generation = request.generation
    system, turns = split_system(request.messages)
    body: dict[str, Any] = {"model": model, "messages": turns, "max_tokens": generation.max_tokens}
    if system:
        body["system"] = system
    if request.json_schema is not None:
        schema = anthropic.transform_schema(request.json_schema)
        body["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
    # The SDK's call has no parameters for these two; the API has.
    sampling = {"temperature": generation.temperature, "top_p": generation.top_p}
    body["extra_body"] = {name: value for name, value in sampling.items() if value is not None}
    return body


def _answer(message: Message) -> Answer:
    reason, usage = message.stop_reason, message.usage
    if reason is None:
        raise Transient("the answer lacks its stop_reason")
    counted = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    return answered(
        "".join(block.text for block in message.content if block.type == "text"),
        STOP_REASONS.get(reason, "other"),
        reason,
        prompt_tokens=sum(getattr(usage, name, None) or 0 for name in counted),
        completion_tokens=usage.output_tokens,
    )
