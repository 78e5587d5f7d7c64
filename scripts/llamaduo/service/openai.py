"""OpenAI's chat completions, and every server that speaks their protocol.

https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Mapping
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from llamaduo.config.services import ServiceSettings
from llamaduo.service.interface import Answer, Request, StopReason, Transient
from llamaduo.service.schema import closed
from llamaduo.service.transport import (
    INCOMPLETE,
    answer_in_error,
    answered,
    failure,
    open_http,
    retry_after,
    vendor_message,
)

STOP_REASONS: dict[str, StopReason] = {"stop": "stop", "length": "length", "content_filter": "filtered"}


class OpenAIProvider:
    """The service's model behind the OpenAI SDK. `address`: the SDK's base_url, or a simulated service's root."""

    def __init__(self, service: ServiceSettings, address: str | None, key: str) -> None:
        self._service, self._key = service, key
        self._client = openai.AsyncOpenAI(
            api_key=key,
            base_url=f"{address}/v1" if address and service.is_simulated else address,
            max_retries=0,
            timeout=service.timeout_seconds,
            http_client=open_http(service),
        )

    async def ask(self, request: Request, headers: Mapping[str, str], samples: int = 1) -> list[Answer]:
        try:
            completion = await self._client.chat.completions.create(
                **_body(self._service.model, request), extra_headers=dict(headers)
            )
        except openai.APIStatusError as error:
            return [self._answer_or_raise(error, request)]
        except openai.APIConnectionError as error:
            raise Transient(f"no answer: {error.__cause__ or error}") from error
        except openai.APIResponseValidationError as error:
            raise Transient(f"not an answer of this protocol: {error.message}") from error
        try:
            return [_answer(completion)]
        except INCOMPLETE as error:
            raise Transient(f"not an answer of this protocol: {error}") from error

    async def close(self) -> None:
        await self._client.close()

    def _answer_or_raise(self, error: openai.APIStatusError, request: Request) -> Answer:
        status, code = error.status_code, error.code or error.type
        message = vendor_message(error.body, error.message)
        answer = answer_in_error(status, message, code, max_tokens=request.generation.max_tokens, key=self._key)
        if answer is None:
            after = retry_after(error.response.headers)
            raise failure(status, after, message, code, service=self._service, key=self._key) from error
        return answer


def _body(model: str, request: Request) -> dict[str, Any]:
    generation = request.generation
    body: dict[str, Any] = {
        "model": model,
        "messages": list(request.messages),
        "max_completion_tokens": generation.max_tokens,
    }
    if generation.temperature is not None:
        body["temperature"] = generation.temperature
    if generation.top_p is not None:
        body["top_p"] = generation.top_p
    if request.json_schema is not None:
        schema = {"name": "answer", "strict": True, "schema": closed(request.json_schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return body


def _answer(completion: ChatCompletion) -> Answer:
    choice = completion.choices[0]
    message, usage = choice.message, completion.usage
    refusal = getattr(message, "refusal", None)
    stop: StopReason = "refusal" if refusal else STOP_REASONS.get(choice.finish_reason.lower(), "other")
    return answered(
        message.content or refusal or "",
        stop,
        choice.finish_reason,
        prompt_tokens=usage.prompt_tokens if usage else 0,
        completion_tokens=usage.completion_tokens if usage else 0,
    )
