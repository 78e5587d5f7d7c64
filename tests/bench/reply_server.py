"""A server that gives every chat completion the same answer after a while, and refuses those above a limit.

Not a benchmark of its own: bench_service.py starts it. It is bare asyncio, so that it costs a fraction of what its
clients do. Prints its port, then serves until it is ended. GET tells what it served, as JSON: the times of arrival of
the requests that were answered, in seconds, and how many were refused.
"""

import argparse
import asyncio
import json
import time
from collections import deque

MINUTE = 60.0
GRADES = {
    "similarity": {
        "reason": "It says what the reference says, in other words, with a detail left out.",
        "score": 88,
    },
    "precision": {"reason": "It answers the instruction fully and in the form that was asked for.", "score": 93},
}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": json.dumps(GRADES), "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 900, "completion_tokens": 100, "total_tokens": 1000},
}
REFUSED = {"error": {"message": "too many", "type": "rate_limit_exceeded", "param": None, "code": None}}


def worded(status: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


class Served:
    """What was served so far, and whether one more may be: at most `limit` within any minute; None for any number."""

    def __init__(self, limit: int | None) -> None:
        self.limit, self.refused = limit, 0
        self.arrivals: list[float] = []
        self._minute: deque[float] = deque()

    def admit(self) -> bool:
        now = time.monotonic()
        while self._minute and self._minute[0] <= now - MINUTE:
            self._minute.popleft()
        if self.limit is not None:
            if len(self._minute) >= self.limit:
                self.refused += 1
                return False
            self._minute.append(now)
            self.arrivals.append(now)
        return True


class Connection(asyncio.Protocol):
    answer, refusal = worded("200 OK", COMPLETION), worded("429 Too Many Requests", REFUSED)

    def __init__(self, served: Served, latency: float) -> None:
        self._served, self._latency, self._received = served, latency, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            place = head.find(b"content-length:")
            length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
            if len(self._received) < end + 4 + length:
                return
            self._received = self._received[end + 4 + length :]
            if head.startswith(b"get"):
                told = {"arrivals": self._served.arrivals, "refused": self._served.refused}
                self._transport.write(worded("200 OK", told))
            else:
                reply = self.answer if self._served.admit() else self.refusal
                asyncio.get_running_loop().call_later(self._latency, self._reply, reply)

    def _reply(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


async def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--latency", type=float, default=0.02)
    options.add_argument("--limit", type=int)
    given = options.parse_args()
    served = Served(given.limit)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(served, given.latency), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
