"""OpenAI's chat completions, and every server that speaks their protocol, Azure OpenAI among them.

https://platform.openai.com/docs/api-reference/chat/create
"""

from collections.abc import Mapping
from typing import Any

import httpx2
import openai

from llamaduo.config.services import ServiceSettings
from llamaduo.config.vendors import knows_max_tokens_only
from llamaduo.service.interface import Answer, Request, StopReason, Transient
from llamaduo.service.journal.identity import schema_of
from llamaduo.service.providers.samples import Sample, Usage, as_answers
from llamaduo.service.providers.schema import closed
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

STOP_REASONS: dict[str, StopReason] = {"stop": "stop", "length": "length", "content_filter": "filtered"}


class OpenAIProvider:
    """The service's model behind the OpenAI SDK. `address`: the SDK's base_url, or a simulated service's root."""

    def __init__(self, service: ServiceSettings, address: str | None, key: str | None, observe: Observe) -> None:
        self._service, self._key = service, key
        self._client = _client(service, address, key, observe)

    async def ask(self, request: Request, headers: Mapping[str, str], samples: int = 1) -> list[Answer]:
        try:
            # The SDK's call for any path: its typed one walks through the parameters, which takes longer than all else.
            response = await self._client.post(
                "/chat/completions",
                cast_to=httpx2.Response,
                body=body(self._service, request, samples),
                options={"headers": dict(headers)},
            )
        except openai.APIStatusError as error:
            return [self._answer_or_raise(error, request)]
        except openai.APIConnectionError as error:
            raise unanswered(error) from error
        with reading():
            return answers(parsed(response), samples)

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


def body(service: ServiceSettings, request: Request, samples: int = 1) -> dict[str, Any]:
    """The JSON of a call, which is also the SDK's arguments and the body of a line of a batch."""
    generation = request.generation
    content: dict[str, Any] = {
        "model": service.model,
        "messages": list(request.messages),
        "max_tokens" if knows_max_tokens_only(service) else "max_completion_tokens": generation.max_tokens,
    }
    if samples > 1:
        content["n"] = samples
    if generation.temperature is not None:
        content["temperature"] = generation.temperature
    if generation.top_p is not None:
        content["top_p"] = generation.top_p
    if (schema := schema_of(service, request)) is not None:
        form = {"name": "answer", "strict": True, "schema": closed(schema)}
        content["response_format"] = {"type": "json_schema", "json_schema": form}
    return content


def answers(content: Mapping[str, Any], samples: int = 1) -> list[Answer]:
    """The answers in a chat completion's JSON, in order. Raises `Transient` for what is no whole completion."""
    with reading():
        choices = sorted(content["choices"], key=lambda choice: choice.get("index") or 0)
        if not choices:
            raise Transient("the answer holds no choice", may_be_charged=True)
        usage = content.get("usage") or {}
        details = usage.get("prompt_tokens_details") or {}
        return as_answers(
            [_sample(choice) for choice in choices],
            Usage(
                prompt_tokens=usage.get("prompt_tokens") or 0,
                completion_tokens=usage.get("completion_tokens") or 0,
                cached_tokens=details.get("cached_tokens") or 0,
            ),
            samples,
        )


def _sample(choice: Mapping[str, Any]) -> Sample:
    message, reason = choice["message"], choice["finish_reason"]
    refusal = message.get("refusal")
    stop: StopReason = "refusal" if refusal else STOP_REASONS.get(reason.lower(), "other")
    return Sample(message.get("content") or refusal or "", stop, reason)


def _client(
    service: ServiceSettings, address: str | None, key: str | None, observe: Observe
) -> openai.AsyncOpenAI | openai.AsyncAzureOpenAI:
    http = open_http(service, observe)
    if service.azure_api_version is not None:
        return openai.AsyncAzureOpenAI(
            azure_endpoint=address or "",
            api_version=service.azure_api_version,
            azure_deployment=service.model,
            api_key=key,
            max_retries=0,
            timeout=service.timeout_seconds,
            http_client=http,
        )
    return openai.AsyncOpenAI(
        api_key=key,
        base_url=f"{address}/v1" if address and service.is_simulated else address,
        max_retries=0,
        timeout=service.timeout_seconds,
        http_client=http,
    )
