"""OpenAI's chat completions, and Azure OpenAI's. https://platform.openai.com/docs/api-reference/chat/create"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from llamaduo.models.messages import Message
from llamaduo.simulated.allowance import Left
from llamaduo.simulated.conversation import Conversation
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


class TextPart(Strict):
    type: Literal["text"]
    text: str


class Turn(Strict):
    role: Literal["developer", "system", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None


class NamedSchema(Strict):
    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    strict: bool | None = None


class Form(Strict):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None


class ChatRequest(Strict):
    """The documented fields; those without a meaning for the simulated service are taken as they are."""

    model: str
    messages: Annotated[list[Turn], Field(min_length=1)]
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    n: Annotated[int | None, Field(ge=1, le=128)] = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    response_format: Form | None = None
    stream: Literal[False] | None = None
    frequency_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    presence_penalty: Annotated[float | None, Field(ge=-2, le=2)] = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int | None, Field(ge=0, le=20)] = None
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    reasoning_effort: str | None = None
    safety_identifier: str | None = None
    seed: int | None = None
    service_tier: str | None = None
    stop: str | list[str] | None = None
    store: bool | None = None
    user: str | None = None
    verbosity: str | None = None


class OpenAIProtocol:
    """Chat completions, the key as a bearer token."""

    name = "openai"

    def credential(self, headers: Headers) -> str | None:
        return bearer(headers)

    def read(self, headers: Headers, body: Any, model: str | None) -> Conversation:
        asked: ChatRequest = checked(ChatRequest, body)
        schema = None
        if asked.response_format is not None and asked.response_format.type == "json_schema":
            named = asked.response_format.json_schema
            if named is None:
                raise BadRequest("response_format.json_schema: Field required")
            schema = named.schema_
            check_schema(schema, closed=bool(named.strict))
        return Conversation(
            model=model or asked.model,
            messages=with_user(
                Message(
                    role="system" if turn.role == "developer" else turn.role,
                    content=turn.content
                    if isinstance(turn.content, str)
                    else "".join(part.text for part in turn.content),
                )
                for turn in asked.messages
            ),
            schema=schema,
            most_tokens=asked.max_completion_tokens or asked.max_tokens,
            samples=asked.n or 1,
        )

    def write(self, model: str, replies: Sequence[Reply], key: str) -> Body:
        prompt, completion = replies[0].prompt_tokens, sum(reply.completion_tokens for reply in replies)
        return {
            "id": f"chatcmpl-{key[:24]}",
            "object": "chat.completion",
            "created": 0,
            "model": model,
            "choices": [
                {
                    "index": index,
                    "message": {
                        "role": "assistant",
                        "content": None if reply.stop == "refusal" else reply.text,
                        "refusal": "I cannot help with that." if reply.stop == "refusal" else None,
                    },
                    "logprobs": None,
                    "finish_reason": "length" if reply.stop == "length" else "stop",
                }
                for index, reply in enumerate(replies)
            ],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            },
        }

    def refusal(self, problem: Problem, message: str) -> Refusal:
        status, kind, code = PROBLEMS[problem]
        return Refusal(status, {"error": {"message": message, "type": kind, "param": None, "code": code}})

    def limit_headers(self, left: Left) -> dict[str, str]:
        headers = {}
        for name, share in (("requests", left.requests), ("tokens", left.tokens)):
            if share is not None:
                headers[f"x-ratelimit-limit-{name}"] = str(share.limit)
                headers[f"x-ratelimit-remaining-{name}"] = str(share.remaining)
                headers[f"x-ratelimit-reset-{name}"] = _duration(share.reset)
        return headers


class AzureProtocol(OpenAIProtocol):
    """The same under a deployment's name, the key in a header of its own.

    https://learn.microsoft.com/azure/ai-services/openai/reference
    """

    name = "azure"

    def credential(self, headers: Headers) -> str | None:
        return headers.get("api-key") or bearer(headers)

    def refusal(self, problem: Problem, message: str) -> Refusal:
        if problem == "wrong_key":
            return Refusal(401, {"error": {"code": "401", "message": message}})
        if problem == "unknown_model":
            return Refusal(404, {"error": {"code": "DeploymentNotFound", "message": message}})
        return super().refusal(problem, message)


PROBLEMS: dict[Problem, tuple[int, str, str | None]] = {
    "bad_request": (400, "invalid_request_error", None),
    "wrong_key": (401, "invalid_request_error", "invalid_api_key"),
    "unknown_model": (404, "invalid_request_error", "model_not_found"),
    "not_found": (404, "invalid_request_error", None),
    "no_credit": (429, "insufficient_quota", "insufficient_quota"),
    "rate_limit": (429, "requests", "rate_limit_exceeded"),
    "server_error": (500, "server_error", None),
    "overloaded": (529, "server_error", "overloaded"),
}


def _duration(seconds: float) -> str:
    """Seconds as OpenAI's headers word them: 120ms, 7.66s, 1m12s."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{rest:.3g}s" if minutes else f"{rest:.4g}s"
