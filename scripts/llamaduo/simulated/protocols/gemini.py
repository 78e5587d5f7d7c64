"""Gemini's generateContent, at AI Studio and on Vertex AI. https://ai.google.dev/api/generate-content"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from llamaduo.models.messages import Message
from llamaduo.simulated.allowance import Left
from llamaduo.simulated.conversation import Conversation
from llamaduo.simulated.protocols.google_errors import google_error
from llamaduo.simulated.protocols.interface import (
    BadRequest,
    Body,
    Headers,
    Problem,
    Refusal,
    Strict,
    bearer,
    check_schema,
    checked,
    with_user,
)
from llamaduo.simulated.reply import Reply


class _Camel(Strict):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Part(_Camel):
    text: str


class Content(_Camel):
    role: Literal["user", "model"] | None = None
    parts: Annotated[list[Part], Field(min_length=1)]


class SystemInstruction(_Camel):
    role: str | None = None
    parts: Annotated[list[Part], Field(min_length=1)]


class GenerationConfig(_Camel):
    """The documented fields; those without a meaning for the simulated service are taken as they are."""

    stop_sequences: list[str] | None = None
    response_mime_type: Literal["text/plain", "application/json"] | None = None
    response_schema: dict[str, Any] | None = None
    response_json_schema: dict[str, Any] | None = None
    candidate_count: Annotated[int | None, Field(ge=1, le=8)] = None
    max_output_tokens: Annotated[int | None, Field(ge=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    top_k: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    thinking_config: dict[str, Any] | None = None


class GenerateRequest(_Camel):
    contents: Annotated[list[Content], Field(min_length=1)]
    system_instruction: SystemInstruction | None = None
    generation_config: GenerationConfig | None = None
    safety_settings: list[dict[str, Any]] | None = None
    # The older SDK names the model here as well.
    model: str | None = None


class GeminiProtocol:
    """generateContent, the key in a header of its own."""

    name = "gemini"

    def credential(self, headers: Headers) -> str | None:
        return headers.get("x-goog-api-key")

    def read(self, headers: Headers, body: Any, model: str | None) -> Conversation:
        asked: GenerateRequest = checked(GenerateRequest, body)
        settings = asked.generation_config or GenerationConfig()
        schema = settings.response_json_schema or settings.response_schema
        if schema is not None:
            if settings.response_json_schema is not None and settings.response_schema is not None:
                raise BadRequest("only one of response_schema and response_json_schema can be set")
            if settings.response_mime_type != "application/json":
                raise BadRequest("a response schema needs the response_mime_type application/json")
            schema = _plain(schema) if settings.response_schema is not None else schema
            check_schema(schema, closed=False)
        system = asked.system_instruction
        told = [Message(role="system", content=_joined(system.parts))] if system else []
        roles = {"user": "user", "model": "assistant"}
        turns = [Message(role=roles[turn.role or "user"], content=_joined(turn.parts)) for turn in asked.contents]
        return Conversation(
            model=model or "",
            messages=with_user([*told, *turns]),
            schema=schema,
            most_tokens=settings.max_output_tokens,
            samples=settings.candidate_count or 1,
        )

    def write(self, model: str, replies: Sequence[Reply], key: str) -> Body:
        reasons = {"stop": "STOP", "length": "MAX_TOKENS", "refusal": "SAFETY"}
        candidates = []
        for index, reply in enumerate(replies):
            candidate: Body = {"finishReason": reasons[reply.stop], "index": index}
            if reply.stop != "refusal":
                candidate["content"] = {"role": "model", "parts": [{"text": reply.text}]}
            candidates.append(candidate)
        prompt, completion = replies[0].prompt_tokens, sum(reply.completion_tokens for reply in replies)
        return {
            "candidates": candidates,
            "usageMetadata": {
                "promptTokenCount": prompt,
                "candidatesTokenCount": completion,
                "totalTokenCount": prompt + completion,
            },
            "modelVersion": model,
            **self._response_id(key),
        }

    def _response_id(self, key: str) -> Body:
        return {"responseId": key[:24]}

    def refusal(self, problem: Problem, message: str) -> Refusal:
        status, name = PROBLEMS[problem]
        words = "API key not valid. Please pass a valid API key." if problem == "wrong_key" else message
        return google_error(status, name, words, QUOTA if problem == "no_credit" else None)

    def limit_headers(self, left: Left) -> dict[str, str]:
        return {}


class GeminiVertexProtocol(GeminiProtocol):
    """The same on Vertex AI, with an access token."""

    name = "gemini-vertex"

    def credential(self, headers: Headers) -> str | None:
        return bearer(headers)

    def refusal(self, problem: Problem, message: str) -> Refusal:
        if problem == "wrong_key":
            return google_error(401, "UNAUTHENTICATED", message)
        return super().refusal(problem, message)


QUOTA = "GenerateRequestsPerDayPerProjectPerModel"
PROBLEMS: dict[Problem, tuple[int, str]] = {
    "bad_request": (400, "INVALID_ARGUMENT"),
    "wrong_key": (400, "INVALID_ARGUMENT"),
    "unknown_model": (404, "NOT_FOUND"),
    "not_found": (404, "NOT_FOUND"),
    "no_credit": (429, "RESOURCE_EXHAUSTED"),
    "rate_limit": (429, "RESOURCE_EXHAUSTED"),
    "server_error": (500, "INTERNAL"),
    "overloaded": (503, "UNAVAILABLE"),
}


TYPES = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT")
"""The types of the API's older schemas, an enumeration whose values count from 1."""


def _plain(schema: Any) -> Any:
    """A schema of the older kind, whose types are an enumeration, as a JSON schema."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _plain(value) for name, value in schema.items()}
    kind = schema.get("type")
    if isinstance(kind, int) and 1 <= kind <= len(TYPES):
        kind = TYPES[kind - 1]
    if kind in TYPES:
        plain["type"] = str(kind).lower()
    elif isinstance(kind, str | int):
        raise BadRequest(f"response_schema.type: {kind!r} is not one of {', '.join(TYPES)}")
    return plain


def _joined(parts: Sequence[Part]) -> str:
    return "".join(part.text for part in parts)
