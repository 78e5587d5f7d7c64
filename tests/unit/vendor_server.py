"""A scripted HTTP server that speaks the three vendors' protocols, for what the simulated service does not do."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from loopback import serving


@dataclass
class Reaction:
    """What the server does with one request. `body` None is an answer of the protocol with `text` and `stop`."""

    text: str = "fine"
    stop: str | None = None
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    cut: str | None = None  # "length": half of the announced length; "end": half of a body of unknown length
    delay: float = 0.0


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class VendorServer:
    """`react` is called with every request and the number of requests before it."""

    def __init__(self) -> None:
        self.address = ""
        self.received: list[Received] = []
        self.answered = 0
        self.in_flight = self.most_in_flight = 0
        self.react: Callable[[Received, int], Reaction] = lambda request, number: Reaction()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        received = Received(request.path, {k.lower(): v for k, v in request.headers.items()}, await request.json())
        number = len(self.received)
        self.received.append(received)
        reaction = self.react(received, number)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(reaction.delay)
        self.in_flight -= 1
        body = reaction.body
        if body is None:
            body = error(request.path, reaction) if reaction.status != 200 else answer(request.path, reaction)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        if reaction.cut is None:
            self.answered += reaction.status == 200
            return web.Response(
                body=content, status=reaction.status, headers=reaction.headers, content_type=reaction.content_type
            )
        return await self._cut(request, content, reaction.cut)

    async def _cut(self, request: web.Request, content: bytes, cut: str) -> web.StreamResponse:
        assert request.transport is not None
        length = f"Content-Length: {len(content)}\r\n" if cut == "length" else ""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{length}Connection: close\r\n\r\n"
        request.transport.write(head.encode() + content[: len(content) // 2])
        request.transport.close()
        return web.Response()


def answer(path: str, reaction: Reaction) -> dict[str, Any]:
    if path.endswith("/chat/completions"):
        refused = reaction.stop == "refusal"
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop" if refused else reaction.stop or "stop",
                    "message": {
                        "role": "assistant",
                        "content": None if refused else reaction.text,
                        "refusal": reaction.text if refused else None,
                    },
                }
            ],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }
    if path.endswith("/messages"):
        return {
            "id": "1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": reaction.text}],
            "stop_reason": reaction.stop or "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 7, "output_tokens": 3},
        }
    return {
        "candidates": [
            {
                "content": {"role": "model", "parts": [{"text": reaction.text}]},
                "finishReason": reaction.stop or "STOP",
            }
        ],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3},
    }


def error(path: str, reaction: Reaction) -> dict[str, Any]:
    if path.endswith("/chat/completions"):
        return {"error": {"message": reaction.text, "type": "error", "param": None, "code": reaction.stop}}
    if path.endswith("/messages"):
        return {"type": "error", "error": {"type": reaction.stop or "api_error", "message": reaction.text}}
    return {"error": {"code": reaction.status, "message": reaction.text, "status": reaction.stop or "INTERNAL"}}


@contextmanager
def vendor_server() -> Iterator[VendorServer]:
    server = VendorServer()
    with serving(server.handle) as server.address:
        yield server
