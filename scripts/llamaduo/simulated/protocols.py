"""The three protocols of the simulated service: OpenAI chat completions, Anthropic messages, Gemini generateContent."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from llamaduo.messages import Message
from llamaduo.simulated.conversation import Conversation
from llamaduo.simulated.reply import Reply

Body = dict[str, Any]


class WireProtocol(Protocol):
    """Reads a request and words the answers as one vendor does.

    `read` takes the body and the model named in the path (Gemini's way) or None; a body that lacks what it must
    have raises KeyError, TypeError or ValueError.
    """

    name: str

    def read(self, body: Mapping[str, Any], model: str | None) -> Conversation: ...

    def write(self, model: str, replies: Sequence[Reply], key: str) -> Body: ...

    def error(self, status: int, message: str) -> Body: ...


class OpenAIProtocol:
    """https://platform.openai.com/docs/api-reference/chat"""

    name = "openai"

    def read(self, body: Mapping[str, Any], model: str | None) -> Conversation:
        form = body.get("response_format") or {}
        return Conversation(
            model=model or body["model"],
            messages=_with_user(
                Message(
                    role="system" if turn["role"] == "developer" else turn["role"], content=_joined(turn["content"])
                )
                for turn in body["messages"]
            ),
            schema=form["json_schema"]["schema"] if form.get("type") == "json_schema" else None,
            most_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
            samples=body.get("n") or 1,
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
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        }

    def error(self, status: int, message: str) -> Body:
        kinds = {400: "invalid_request_error", 429: "rate_limit_exceeded"}
        return {"error": {"message": message, "type": kinds.get(status, "server_error"), "param": None, "code": None}}


class AnthropicProtocol:
    """https://platform.claude.com/docs/en/api/messages"""

    name = "anthropic"

    def read(self, body: Mapping[str, Any], model: str | None) -> Conversation:
        system = _joined(body.get("system") or "")
        turns = [Message(role=turn["role"], content=_joined(turn["content"])) for turn in body["messages"]]
        form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
        return Conversation(
            model=model or body["model"],
            messages=_with_user([Message(role="system", content=system)] * bool(system) + turns),
            schema=form["schema"] if form.get("type") == "json_schema" else None,
            most_tokens=body["max_tokens"],
        )

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
            "usage": {"input_tokens": reply.prompt_tokens, "output_tokens": reply.completion_tokens},
        }

    def error(self, status: int, message: str) -> Body:
        kinds = {400: "invalid_request_error", 429: "rate_limit_error"}
        return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}


class GeminiProtocol:
    """https://ai.google.dev/api/generate-content"""

    name = "gemini"

    def read(self, body: Mapping[str, Any], model: str | None) -> Conversation:
        if model is None:
            raise KeyError("model")
        roles = {"user": "user", "model": "assistant"}
        system = _joined((body.get("systemInstruction") or {}).get("parts") or "")
        turns = [
            Message(role=roles[turn.get("role") or "user"], content=_joined(turn["parts"])) for turn in body["contents"]
        ]
        settings = body.get("generationConfig") or {}
        return Conversation(
            model=model,
            messages=_with_user([Message(role="system", content=system)] * bool(system) + turns),
            schema=settings.get("responseJsonSchema") or settings.get("responseSchema"),
            most_tokens=settings.get("maxOutputTokens"),
            samples=settings.get("candidateCount") or 1,
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
            "responseId": key[:24],
        }

    def error(self, status: int, message: str) -> Body:
        kinds = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED"}
        return {"error": {"code": status, "message": message, "status": kinds.get(status, "INTERNAL")}}


def _joined(content: str | Sequence[Mapping[str, Any]]) -> str:
    """A turn's text, given as such or as a list of text parts."""
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _with_user(turns: Any) -> tuple[Message, ...]:
    """The turns, among which there must be one of the user."""
    messages = tuple(turns)
    if not any(turn["role"] == "user" for turn in messages):
        raise ValueError("no user turn")
    return messages
