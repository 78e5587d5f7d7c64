"""The simulated service LLM: a local HTTP server that the vendors' real SDKs talk to."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from llamaduo.canonical import digest
from llamaduo.config.services import Simulation
from llamaduo.messages import as_text
from llamaduo.simulated.conversation import Conversation
from llamaduo.simulated.faults import answer_fault, break_json, transport_fault
from llamaduo.simulated.log import DROPPED, SERVED, ServedLog
from llamaduo.simulated.protocols import AnthropicProtocol, GeminiProtocol, OpenAIProtocol, WireProtocol
from llamaduo.simulated.reply import Reply, count_tokens, cut
from llamaduo.simulated.roles import respond

LOOPBACK = "127.0.0.1"
REPLICATE_HEADER = "x-llamaduo-replicate"
RETRY_AFTER_SECONDS = "0.05"
LARGEST_REQUEST = 32 * 1024 * 1024
"""Bytes, as the vendors' own limits."""


class SimulatedService:
    """Answers requests by rule, with the latency, faults and log of its settings."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._log = ServedLog(Path(simulation.log)) if simulation.log else None
        self._tries: Counter[str] = Counter()

    def application(self) -> web.Application:
        """The routes of the three protocols; every other path is 404."""
        application = web.Application(client_max_size=LARGEST_REQUEST)
        application.router.add_post("/v1/chat/completions", self._route(OpenAIProtocol()))
        application.router.add_post("/v1/messages", self._route(AnthropicProtocol()))
        application.router.add_post(
            "/{version:v1|v1beta}/models/{model}:generateContent", self._route(GeminiProtocol())
        )
        return application

    def close(self) -> None:
        if self._log:
            self._log.close()

    def _route(self, protocol: WireProtocol) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                body = await request.json()
                asked = replace(
                    protocol.read(body, request.match_info.get("model")),
                    replicate=request.headers.get(REPLICATE_HEADER, ""),
                    seed=self._simulation.seed,
                )
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                return web.json_response(protocol.error(400, f"not a request of this protocol: {error}"), status=400)
            return await self._answer(
                request, protocol, asked, digest([protocol.name, request.path, body, asked.replicate])
            )

        return answer

    async def _answer(
        self, request: web.Request, protocol: WireProtocol, asked: Conversation, request_digest: str
    ) -> web.StreamResponse:
        await asyncio.sleep(self._simulation.latency_seconds)
        role, replies = self._replies(asked)
        number = self._tries[asked.key]
        self._tries[asked.key] += 1
        fault = transport_fault(self._simulation.faults, asked.key, number)
        status = {"rate_limit": 429, "server_error": 500, "dropped": DROPPED}.get(fault or "", SERVED)
        if self._log:
            self._log.add(protocol.name, role, request_digest, status)
        if fault == "dropped":
            return await _drop(request, protocol.write(asked.model, replies, asked.key))
        if fault is not None:
            headers = {"Retry-After": RETRY_AFTER_SECONDS} if status == 429 else {}
            return web.json_response(protocol.error(status, f"simulated {fault}"), status=status, headers=headers)
        self._tries.pop(asked.key)
        return web.json_response(protocol.write(asked.model, replies, asked.key))

    def _replies(self, asked: Conversation) -> tuple[str, list[Reply]]:
        replies, role = [], ""
        prompt = as_text(asked.messages)
        for sample in range(asked.samples):
            one = replace(asked, replicate=f"{asked.replicate}/{sample}") if sample else asked
            role, text = respond(one)
            fault = answer_fault(self._simulation.faults, one.key)
            if fault == "refusal":
                replies.append(Reply("", "refusal", count_tokens(prompt), 0))
            else:
                replies.append(cut(break_json(text) if fault else text, prompt, asked.most_tokens))
        return role, replies


async def _drop(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Send half of the answer under the whole's length, then close the connection."""
    content = json.dumps(body).encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(content))})
    await response.prepare(request)
    await response.write(content[: len(content) // 2])
    if request.transport:
        request.transport.close()
    return response


async def serve(simulation: Simulation, port: int, ready: Callable[[str], None], stop: asyncio.Event) -> None:
    """Serve on the loopback interface until `stop` is set; `ready` gets the address. Port 0 takes a free one."""
    service = SimulatedService(simulation)
    runner = web.AppRunner(service.application(), access_log=None, shutdown_timeout=0.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, port)
        await site.start()
        ready(f"http://{LOOPBACK}:{runner.addresses[0][1]}")
        await stop.wait()
    finally:
        await runner.cleanup()
        service.close()


@contextmanager
def running(simulation: Simulation) -> Iterator[str]:
    """The address of a simulated service that runs in a thread of this process until the block ends."""
    started: list[str] = []
    failed: list[BaseException] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def note(address: str) -> None:
        started.append(address)
        ready.set()

    def run() -> None:
        try:
            loop.run_until_complete(serve(simulation, 0, note, stop))
        except BaseException as error:
            failed.append(error)
        finally:
            loop.close()
            ready.set()

    thread = threading.Thread(target=run, name="simulated service", daemon=True)
    thread.start()
    ready.wait()
    if not started:
        raise failed[0]
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
