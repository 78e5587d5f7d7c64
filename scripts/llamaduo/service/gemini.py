"""Google's Gemini through AI Studio. https://ai.google.dev/api/generate-content"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx2
from google import genai
from google.genai import errors, types
from pydantic import ValidationError

from llamaduo.config.services import ServiceSettings
from llamaduo.service.interface import Answer, Request, StopReason, Transient
from llamaduo.service.transport import answer_in_error, answered, failure, open_http, retry_after
from llamaduo.service.turns import split_system

STOP_REASONS: dict[str, StopReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "filtered",
    "RECITATION": "filtered",
    "BLOCKLIST": "filtered",
    "PROHIBITED_CONTENT": "filtered",
    "SPII": "filtered",
}
API_VERSION = "v1beta"
"""The version that documents system instructions and JSON schemas; the SDK's own choice changes between releases."""
ROLES = {"user": "user", "assistant": "model"}


class GeminiProvider:
    """The service's model behind google-genai. `address`: the SDK's base_url, the same for a simulated service."""

    def __init__(self, service: ServiceSettings, address: str | None, key: str) -> None:
        self._service, self._key = service, key
        # An httpx2 client of our own, because over aiohttp the SDK silently sends a lost request a second time.
        self._http = open_http(service)
        self._client = genai.Client(
            vertexai=False,
            api_key=key,
            http_options=types.HttpOptions(
                base_url=address,
                api_version=API_VERSION,
                timeout=int(service.timeout_seconds * 1000),
                httpx_async_client=self._http,
            ),
        )

    async def ask(self, request: Request, headers: Mapping[str, str], samples: int = 1) -> list[Answer]:
        system, turns = split_system(request.messages)
        try:
            response = await self._client.aio.models.generate_content(
                model=self._service.model,
                contents=[
                    types.Content(role=ROLES[turn["role"]], parts=[types.Part(text=turn["content"])]) for turn in turns
                ],
                config=_config(system, request, headers),
            )
        except errors.APIError as error:
            return [self._answer_or_raise(error, request)]
        except httpx2.HTTPError as error:
            raise Transient(f"no answer: {error}") from error
        except (ValidationError, errors.UnknownApiResponseError) as error:
            raise Transient("not an answer of this protocol") from error
        return [_answer(response)]

    async def close(self) -> None:
        await self._http.aclose()

    def _answer_or_raise(self, error: errors.APIError, request: Request) -> Answer:
        status, message = error.code, str(error.message or "")
        max_tokens = request.generation.max_tokens
        answer = answer_in_error(status, message, error.status, max_tokens=max_tokens, key=self._key)
        if answer is None:
            headers: Mapping[str, str] = getattr(error.response, "headers", None) or {}
            after = retry_after(headers) or _retry_delay(error.details)
            raise failure(status, after, message, error.status, service=self._service, key=self._key) from error
        return answer


def _config(system: str, request: Request, headers: Mapping[str, str]) -> types.GenerateContentConfig:
    generation = request.generation
    config: dict[str, Any] = {
        "max_output_tokens": generation.max_tokens,
        "temperature": generation.temperature,
        "top_p": generation.top_p,
        "automatic_function_calling": types.AutomaticFunctionCallingConfig(disable=True),
    }
    if system:
        config["system_instruction"] = system
    if headers:
        config["http_options"] = types.HttpOptions(headers=dict(headers))
    if request.json_schema is not None:
        config["response_mime_type"] = "application/json"
        config["response_json_schema"] = request.json_schema
    return types.GenerateContentConfig(**config)


def _answer(response: types.GenerateContentResponse) -> Answer:
    usage = response.usage_metadata or types.GenerateContentResponseUsageMetadata()
    prompt_tokens = usage.prompt_token_count or 0
    blocked = response.prompt_feedback.block_reason if response.prompt_feedback else None
    if not response.candidates and blocked:
        return answered("", "filtered", str(blocked.value), prompt_tokens=prompt_tokens)
    if not response.candidates or not response.candidates[0].finish_reason:
        raise Transient("the answer lacks its candidate or its finishReason")
    candidate = response.candidates[0]
    parts = (candidate.content.parts if candidate.content else None) or []
    reason = str(candidate.finish_reason.value)
    return answered(
        "".join(part.text for part in parts if part.text and not part.thought),
        STOP_REASONS.get(reason, "other"),
        reason,
        prompt_tokens=prompt_tokens,
        completion_tokens=(usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
    )


def _retry_delay(details: Any) -> float | None:
    """Seconds to wait as Google's errors state them: {"@type": ".../google.rpc.RetryInfo", "retryDelay": "7.5s"}."""
    parts = details.get("error", {}).get("details", []) if isinstance(details, dict) else []
    for part in parts:
        delay = part.get("retryDelay") if isinstance(part, dict) else None
        if isinstance(delay, str) and delay.endswith("s"):
            with suppress(ValueError):
                return float(delay[:-1])
    return None
