"""Anthropic's messages, at its own address, on Vertex AI and on Bedrock.

https://platform.claude.com/docs/en/api/messages
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from llamaduo.models.messages import Message
from llamaduo.simulated.allowance import Left
from llamaduo.simulated.conversation import Conversation, Prefix
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
from llamaduo.simulated.reply import Reply, count_tokens
from llamaduo.storage.canonical import digest

VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")
SIGNATURE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/bedrock/aws4_request, "
    r"SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}"
)
MOST_MARKS = 4
NOT_IN_SCHEMAS = frozenset({"minimum", "maximum", "multipleOf", "minLength", "maxLength", "maxItems"})
"""Keywords that the API takes in no schema."""


class Mark(Strict):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Block(Strict):
    type: Literal["text"]
    text: Annotated[str, Field(min_length=1)]
    cache_control: Mark | None = None


class Turn(Strict):
    role: Literal["user", "assistant"]
    content: str | list[Block]


class Form(Strict):
    type: Literal["json_schema"]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class OutputConfig(Strict):
    format: Form | None = None
    effort: str | None = None


class MessagesRequest(Strict):
    """The documented fields; those without a meaning for the simulated service are taken as they are."""

    model: str | None = None
    anthropic_version: str | None = None
    max_tokens: Annotated[int, Field(ge=1)]
    messages: Annotated[list[Turn], Field(min_length=1)]
    system: str | list[Block] | None = None
    temperature: Annotated[float | None, Field(ge=0, le=1)] = None
    top_p: Annotated[float | None, Field(ge=0, le=1)] = None
    top_k: Annotated[int | None, Field(ge=0)] = None
    output_config: OutputConfig | None = None
    stream: Literal[False] | None = None
    stop_sequences: list[str] | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None
    thinking: dict[str, Any] | None = None


class AnthropicProtocol:
    """Messages, the key in a header of its own or as a bearer token, the API's version in another."""

    name = "anthropic"

    def credential(self, headers: Headers) -> str | None:
        return headers.get("x-api-key") or bearer(headers)

    def read(self, headers: Headers, body: Any, model: str | None) -> Conversation:
        asked: MessagesRequest = checked(MessagesRequest, body)
        self._check_place(headers, asked, model)
        schema = asked.output_config.format.schema_ if asked.output_config and asked.output_config.format else None
        if schema is not None:
            check_schema(schema, closed=False)
            _check_keywords(schema)
        system = _blocks(asked.system or "")
        turns = [(turn.role, _blocks(turn.content)) for turn in asked.messages]
        spoken = [Message(role=role, content="".join(block.text for block in blocks)) for role, blocks in turns]
        told = "".join(block.text for block in system)
        return Conversation(
            model=model or asked.model or "",
            messages=with_user([*([Message(role="system", content=told)] if told else []), *spoken]),
            schema=schema,
            most_tokens=asked.max_tokens,
            prefixes=tuple(_prefixes([("system", system), *turns])),
        )

    def _check_place(self, headers: Headers, asked: MessagesRequest, model: str | None) -> None:
        """Raise `BadRequest` unless model and version stand where they belong."""
        if asked.model is None:
            raise BadRequest("model: Field required")
        if asked.anthropic_version is not None:
            raise BadRequest("anthropic_version: Extra inputs are not permitted")
        if not VERSION.fullmatch(headers.get("anthropic-version", "")):
            raise BadRequest("anthropic-version: header is required")

    def write(self, model: str, replies: Sequence[Reply], key: str) -> Body:
        (reply,) = replies
        reasons = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}
        return {
            "id": f"msg_{key[:24]}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [] if reply.stop == "refusal" else [{"type": "text", "text": reply.text}],
            "stop_reason": reasons[reply.stop],
            "stop_sequence": None,
            "usage": {
                "input_tokens": reply.prompt_tokens - reply.cached_tokens - reply.cache_write_tokens,
                "cache_creation_input_tokens": reply.cache_write_tokens,
                "cache_read_input_tokens": reply.cached_tokens,
                "output_tokens": reply.completion_tokens,
            },
        }

    def refusal(self, problem: Problem, message: str) -> Refusal:
        status, kind = PROBLEMS[problem]
        words = NO_CREDIT if problem == "no_credit" else message
        return Refusal(status, {"type": "error", "error": {"type": kind, "message": words}})

    def limit_headers(self, left: Left) -> dict[str, str]:
        headers = {}
        for name, share in (("requests", left.requests), ("tokens", left.tokens)):
            if share is not None:
                reset = (datetime.now(UTC) + timedelta(seconds=share.reset)).isoformat(timespec="seconds")
                headers[f"anthropic-ratelimit-{name}-limit"] = str(share.limit)
                headers[f"anthropic-ratelimit-{name}-remaining"] = str(share.remaining)
                headers[f"anthropic-ratelimit-{name}-reset"] = reset.replace("+00:00", "Z")
        return headers


class AnthropicVertexProtocol(AnthropicProtocol):
    """The same on Vertex AI: an access token, the model in the path, the version in the body."""

    name = "anthropic-vertex"

    def credential(self, headers: Headers) -> str | None:
        return bearer(headers)

    def _check_place(self, headers: Headers, asked: MessagesRequest, model: str | None) -> None:
        if asked.model is not None:
            raise BadRequest("model: Extra inputs are not permitted")
        if not asked.anthropic_version:
            raise BadRequest("anthropic_version: Field required")

    def refusal(self, problem: Problem, message: str) -> Refusal:
        kinds: dict[Problem, tuple[int, str]] = {
            "wrong_key": (401, "UNAUTHENTICATED"),
            "unknown_model": (404, "NOT_FOUND"),
            "no_credit": (429, "RESOURCE_EXHAUSTED"),
        }
        if problem not in kinds:
            return super().refusal(problem, message)
        status, name = kinds[problem]
        return google_error(status, name, message, "RequestsPerDayPerProject" if problem == "no_credit" else None)

    def limit_headers(self, left: Left) -> dict[str, str]:
        return {}


class AnthropicBedrockProtocol(AnthropicVertexProtocol):
    """The same on Bedrock: an API key or a request signed by AWS's rules."""

    name = "anthropic-bedrock"

    def credential(self, headers: Headers) -> str | None:
        signed = SIGNATURE.fullmatch(headers.get("authorization", ""))
        if signed is not None:
            return signed["key"] if "x-amz-date" in headers else None
        return bearer(headers)

    def refusal(self, problem: Problem, message: str) -> Refusal:
        status = {"wrong_key": 403, "unknown_model": 400}.get(problem, PROBLEMS[problem][0])
        words = {"unknown_model": "The provided model identifier is invalid.", "no_credit": NO_CREDIT}
        return Refusal(status, {"message": words.get(problem, message)})


NO_CREDIT = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing."
PROBLEMS: dict[Problem, tuple[int, str]] = {
    "bad_request": (400, "invalid_request_error"),
    "wrong_key": (401, "authentication_error"),
    "unknown_model": (404, "not_found_error"),
    "not_found": (404, "not_found_error"),
    "no_credit": (400, "invalid_request_error"),
    "rate_limit": (429, "rate_limit_error"),
    "server_error": (500, "api_error"),
    "overloaded": (529, "overloaded_error"),
}


def _blocks(content: str | list[Block]) -> list[Block]:
    if isinstance(content, str):
        return [Block(type="text", text=content)] if content else []
    return content


def _prefixes(turns: Sequence[tuple[str, list[Block]]]) -> Iterator[Prefix]:
    """What stands before each mark, as the cache knows it."""
    before: list[tuple[str, str]] = []
    marks = sum(block.cache_control is not None for _, blocks in turns for block in blocks)
    if marks > MOST_MARKS:
        raise BadRequest(f"A maximum of {MOST_MARKS} blocks with cache_control may be provided. Found {marks}.")
    if not marks:
        return
    for role, blocks in turns:
        for block in blocks:
            before.append((role, block.text))
            if block.cache_control is not None:
                yield Prefix(digest(before), sum(count_tokens(text) for _, text in before))


def _check_keywords(schema: Any) -> None:
    if isinstance(schema, list):
        for part in schema:
            _check_keywords(part)
    elif isinstance(schema, dict):
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
            raise BadRequest("output_config.format.schema: For 'object' type, 'additionalProperties' must be false")
        if wrong := sorted(NOT_IN_SCHEMAS & set(schema)) if isinstance(schema.get("type"), str) else []:
            raise BadRequest(f"output_config.format.schema: properties {', '.join(wrong)} are not supported")
        for part in schema.values():
            _check_keywords(part)
