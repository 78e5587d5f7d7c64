"""Google's Gemini, through AI Studio or Vertex AI. https://ai.google.dev/api/generate-content"""

from collections.abc import Mapping
from typing import Any

import httpx2
from google import genai
from google.auth.exceptions import GoogleAuthError
from google.genai import errors, types

from llamaduo.config.services import ServiceSettings
from llamaduo.service.interface import Answer, Request, StopReason, Transient
from llamaduo.service.journal.identity import schema_of
from llamaduo.service.providers.clouds import google_credentials, location_of, no_token
from llamaduo.service.providers.google_errors import code_of, retry_delay
from llamaduo.service.providers.samples import Sample, Usage, as_answers
from llamaduo.service.providers.transport import (
    Observe,
    answer_in_error,
    answered,
    failure,
    open_http,
    reading,
    retry_after,
    unanswered,
)
from llamaduo.service.providers.turns import split_system

STOP_REASONS: dict[str, StopReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "filtered",
    "RECITATION": "filtered",
    "BLOCKLIST": "filtered",
    "PROHIBITED_CONTENT": "filtered",
    "SPII": "filtered",
}
API_VERSION, VERTEX_API_VERSION = "v1beta", "v1beta1"
"""Those that document system instructions and JSON schemas; the SDK's own choice changes between releases."""
ROLES = {"user": "user", "assistant": "model"}


class GeminiProvider:
    """The service's model behind google-genai. `address`: the SDK's base_url, the same for a simulated service."""

    def __init__(self, service: ServiceSettings, address: str | None, key: str | None, observe: Observe) -> None:
        self._service, self._key = service, key
        # An httpx2 client of our own, because over aiohttp the SDK silently sends a lost request a second time.
        self._http = open_http(service, observe)
        options = types.HttpOptions(
            base_url=address,
            api_version=API_VERSION if service.provider == "gemini" else VERTEX_API_VERSION,
            timeout=int(service.timeout_seconds * 1000),
            httpx_async_client=self._http,
        )
        if service.provider == "gemini":
            self._client = genai.Client(vertexai=False, api_key=key, http_options=options)
        else:
            credentials, project = google_credentials(service, key)
            self._client = genai.Client(
                vertexai=True,
                credentials=credentials,
                project=project,
                location=location_of(service),
                http_options=options,
            )

    async def ask(self, request: Request, headers: Mapping[str, str], samples: int = 1) -> list[Answer]:
        content = body(self._service, request, samples)
        config = {
            **content["generationConfig"],
            "systemInstruction": content.get("systemInstruction"),
            "httpOptions": {"headers": dict(headers)},
            "shouldReturnHttpResponse": True,
            # Each would send requests of its own.
            "automaticFunctionCalling": {"disable": True},
            "automaticContinuation": False,
        }
        try:
            response = await self._client.aio.models.generate_content(
                model=self._service.model,
                contents=[types.Content.model_validate(turn) for turn in content["contents"]],
                config=types.GenerateContentConfig.model_validate(config),
            )
        except errors.APIError as error:
            return [self._answer_or_raise(error, request)]
        except GoogleAuthError as error:
            raise no_token(error) from error
        except httpx2.HTTPError as error:
            raise unanswered(error) from error
        with reading():
            return answers(_json(response), samples)

    async def close(self) -> None:
        await self._http.aclose()

    def _answer_or_raise(self, error: errors.APIError, request: Request) -> Answer:
        headers: Mapping[str, str] = getattr(error.response, "headers", None) or {}
        details = error.details if isinstance(error.details, dict) else {"error": {"message": str(error.message or "")}}
        return answer_or_raise(error.code, headers, details, request, self._service, self._key)


def body(service: ServiceSettings, request: Request, samples: int = 1) -> dict[str, Any]:
    """The JSON of a call to `models/{model}:generateContent`, which is also the `request` of a batch's line."""
    generation = request.generation
    system, turns = split_system(request.messages)
    settings: dict[str, Any] = {"maxOutputTokens": generation.max_tokens}
    if samples > 1:
        settings["candidateCount"] = samples
    if generation.temperature is not None:
        settings["temperature"] = generation.temperature
    if generation.top_p is not None:
        settings["topP"] = generation.top_p
    if (schema := schema_of(service, request)) is not None:
        settings |= {"responseMimeType": "application/json", "responseJsonSchema": schema}
    content: dict[str, Any] = {
        "contents": [{"role": ROLES[turn["role"]], "parts": [{"text": turn["content"]}]} for turn in turns],
        "generationConfig": settings,
    }
    if system:
        content["systemInstruction"] = {"parts": [{"text": system}]}
    return content


def answers(parsed: Mapping[str, Any], samples: int = 1) -> list[Answer]:
    """The answers in a response's JSON, in order; of a prompt that was blocked, one that stands for all.

    Raises `Transient` for what is no whole response.
    """
    with reading():
        usage, candidates = parsed.get("usageMetadata") or {}, parsed.get("candidates") or []
        prompt_tokens = usage.get("promptTokenCount") or 0
        blocked = (parsed.get("promptFeedback") or {}).get("blockReason")
        if not candidates and blocked:
            return [answered("", "filtered", blocked, prompt_tokens=prompt_tokens)]
        if not candidates:
            raise Transient("the answer holds no candidate", may_be_charged=True)
        ordered = sorted(candidates, key=lambda candidate: candidate.get("index") or 0)
        charged = Usage(
            prompt_tokens=prompt_tokens,
            completion_tokens=(usage.get("candidatesTokenCount") or 0) + (usage.get("thoughtsTokenCount") or 0),
            cached_tokens=usage.get("cachedContentTokenCount") or 0,
        )
        return as_answers([_sample(candidate) for candidate in ordered], charged, samples)


def _sample(candidate: Mapping[str, Any]) -> Sample:
    parts = (candidate.get("content") or {}).get("parts") or []
    reason = candidate["finishReason"]
    text = "".join(part["text"] for part in parts if part.get("text") and not part.get("thought"))
    return Sample(text, STOP_REASONS.get(reason, "other"), reason, candidate.get("tokenCount"))


def _json(response: types.GenerateContentResponse) -> Any:
    """The response's body, which the SDK was told to leave as it came."""
    raw = response.sdk_http_response
    return httpx2.Response(200, text=(raw.body if raw else None) or "").json()


def answer_or_raise(
    status: int,
    headers: Mapping[str, str],
    content: Mapping[str, Any],
    request: Request,
    service: ServiceSettings,
    key: str | None,
) -> Answer:
    """The empty answer that an error of the API means, or the `Transient` or `Rejected` that it is, raised.

    `content`: the error's JSON (google.rpc.Status).
    """
    error = content.get("error")
    parts = error if isinstance(error, dict) else {"message": error}
    message, code = str(parts.get("message") or ""), code_of(status, parts)
    answer = answer_in_error(status, message, code, max_tokens=request.generation.max_tokens, key=key)
    if answer is not None:
        return answer
    raise failure(status, retry_after(headers) or retry_delay(parts), message, code, service=service, key=key)
