"""The simulated service LLM: a local HTTP server that the vendors' real SDKs talk to."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from llamaduo.config.simulation import Simulation
from llamaduo.simulated.allowance import Allowance
from llamaduo.simulated.answering import Answered, answer
from llamaduo.simulated.batches.routes import add_batches
from llamaduo.simulated.batches.store import Line, SimulatedBatch
from llamaduo.simulated.conversation import Conversation
from llamaduo.simulated.faults import Fault, transport_fault
from llamaduo.simulated.log import DROPPED, SERVED, ServedLog
from llamaduo.simulated.prompt_cache import PromptCache
from llamaduo.simulated.protocols.anthropic import (
    AnthropicBedrockProtocol,
    AnthropicProtocol,
    AnthropicVertexProtocol,
)
from llamaduo.simulated.protocols.gemini import GeminiProtocol, GeminiVertexProtocol
from llamaduo.simulated.protocols.interface import BadRequest, Problem, Refusal, WireProtocol
from llamaduo.simulated.protocols.openai import AzureProtocol, OpenAIProtocol
from llamaduo.storage.canonical import digest

LOOPBACK = "127.0.0.1"
REPLICATE_HEADER = "x-llamaduo-replicate"
RETRY_AFTER_SECONDS = "0.05"
LARGEST_REQUEST = 32 * 1024 * 1024
"""Bytes, as the vendors' own limits."""

_VERTEX = "projects/{project}/locations/{location}/publishers"
ROUTES: tuple[tuple[str, WireProtocol], ...] = (
    ("/v1/chat/completions", OpenAIProtocol()),
    ("/openai/v1/chat/completions", AzureProtocol()),
    ("/openai/deployments/{model}/chat/completions", AzureProtocol()),
    ("/v1/messages", AnthropicProtocol()),
    (f"/v1/{_VERTEX}/anthropic/models/{{model}}:rawPredict", AnthropicVertexProtocol()),
    ("/model/{model:.+}/invoke", AnthropicBedrockProtocol()),
    ("/{version:v1|v1beta}/models/{model}:generateContent", GeminiProtocol()),
    (f"/v1beta1/{_VERTEX}/google/models/{{model}}:generateContent", GeminiVertexProtocol()),
)
"""Where the vendors' SDKs send their requests to."""


class SimulatedService:
    """Answers requests by rule, with the latency, limits, faults and log of its settings."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._log = ServedLog(Path(simulation.log)) if simulation.log else None
        self._allowance = Allowance(simulation.requests_per_minute, simulation.tokens_per_minute)
        self._cache = PromptCache()
        self._tries: Counter[str] = Counter()
        self._left_of_quota = simulation.quota
        self._closing = asyncio.Event()

    def application(self) -> web.Application:
        """The routes of the vendors' protocols; every other path is 404."""
        application = web.Application(client_max_size=LARGEST_REQUEST)
        for path, protocol in ROUTES:
            application.router.add_post(path, self._route(protocol))
        add_batches(application, self._simulation.batches, self._answer_in_batch, self._guard)
        return application

    def close(self) -> None:
        """Let go of those who wait for an answer that does not come, and of the log."""
        self._closing.set()
        if self._log:
            self._log.close()

    def _route(self, protocol: WireProtocol) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(request: web.Request) -> web.StreamResponse:
            headers = {name.lower(): value for name, value in request.headers.items()}
            if (refusal := self._unauthorized(protocol, headers)) is not None:
                return _sent(refusal)
            try:
                body = await request.json()
                asked = protocol.read(headers, body, request.match_info.get("model"))
            except (BadRequest, ValueError) as error:
                return _sent(protocol.refusal("bad_request", str(error)))
            asked = replace(asked, replicate=headers.get(REPLICATE_HEADER, ""), seed=self._simulation.seed)
            if self._simulation.models is not None and asked.model not in self._simulation.models:
                return _sent(protocol.refusal("unknown_model", f"The model {asked.model!r} does not exist."))
            return await self._answer(request, protocol, asked, body)

        return answer

    def _unauthorized(self, protocol: WireProtocol, headers: Mapping[str, str]) -> Refusal | None:
        shown = protocol.credential(headers)
        if not shown:
            return protocol.refusal("wrong_key", "The request shows no API key in the header that is meant for it.")
        if self._simulation.key is not None and shown != self._simulation.key:
            return protocol.refusal("wrong_key", f"Incorrect API key provided: {shown}.")
        return None

    def _guard(self, protocol: WireProtocol, request: web.Request) -> web.Response | None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        refusal = self._unauthorized(protocol, headers)
        return None if refusal is None else _sent(refusal)

    def _answer_in_batch(self, protocol: WireProtocol, path: str, batch: SimulatedBatch, line: Line) -> dict[str, Any]:
        """The answer to one call of a batch, with the digest in the log that the call would have by itself."""
        asked = protocol.read(batch.headers, line.body, batch.model)
        asked = replace(asked, replicate=line.replicate, seed=self._simulation.seed)
        if self._simulation.models is not None and asked.model not in self._simulation.models:
            raise BadRequest(f"The model {asked.model!r} does not exist.")
        answered = answer(asked, self._simulation)
        if self._log:
            content = digest([protocol.name, path, line.body, line.replicate])
            self._log.add(f"{protocol.name} batch", answered.role, content, SERVED, answered.replies)
        return protocol.write(asked.model, answered.replies, asked.key)

    async def _answer(
        self, request: web.Request, protocol: WireProtocol, asked: Conversation, body: Any
    ) -> web.StreamResponse:
        use = self._cache.look_up(asked.model, asked.prefixes)
        answered = answer(asked, self._simulation, use)
        if (wait := self._allowance.take(answered.tokens)) is not None:
            self._note(request, protocol, asked, body, 429, answered)
            refusal = protocol.refusal("rate_limit", f"Rate limit reached. Please try again in {wait:.3f}s.")
            return _sent(refusal, self._limits(protocol) | {"Retry-After": f"{wait:.3f}"})
        if self._simulation.latency_seconds:
            await asyncio.sleep(self._simulation.latency_seconds)
        if self._left_of_quota is not None:
            if self._left_of_quota == 0:
                return _sent(protocol.refusal("no_credit", "You exceeded your current quota."))
            self._left_of_quota -= 1
        fault = self._fault(asked)
        refusals: dict[str | None, Problem] = {
            "rate_limit": "rate_limit",
            "server_error": "server_error",
            "overloaded": "overloaded",
        }
        if fault in refusals:
            refusal = protocol.refusal(refusals[fault], f"simulated {fault}")
            self._note(request, protocol, asked, body, refusal.status, answered)
            headers = {"Retry-After": RETRY_AFTER_SECONDS} if fault == "rate_limit" else {}
            return _sent(refusal, self._limits(protocol) | headers)
        self._note(request, protocol, asked, body, SERVED if fault is None else DROPPED, answered)
        if fault == "timeout":
            await self._until_given_up(request)
        content = _json(protocol.write(asked.model, answered.replies, asked.key))
        if fault is not None:
            return await _cut(request, content, announced=fault == "dropped")
        self._cache.keep(asked.model, asked.prefixes)
        return web.Response(body=content, content_type="application/json", headers=self._limits(protocol))

    def _fault(self, asked: Conversation) -> Fault | None:
        number = self._tries.get(asked.key, 0)
        fault = transport_fault(self._simulation.faults, asked.key, number)
        if fault is None:
            self._tries.pop(asked.key, None)
        else:
            self._tries[asked.key] = number + 1
        return fault

    def _note(
        self, request: web.Request, protocol: WireProtocol, asked: Conversation, body: Any, status: int, told: Answered
    ) -> None:
        if self._log:
            content = digest([protocol.name, request.path, body, asked.replicate])
            self._log.add(protocol.name, told.role, content, status, told.replies if status == SERVED else ())

    def _limits(self, protocol: WireProtocol) -> dict[str, str]:
        limited = self._simulation.requests_per_minute or self._simulation.tokens_per_minute
        return protocol.limit_headers(self._allowance.left()) if limited else {}

    async def _until_given_up(self, request: web.Request) -> None:
        """Wait until the client has closed its connection."""
        while request.transport is not None and not request.transport.is_closing() and not self._closing.is_set():
            await asyncio.sleep(0.02)


def _sent(refusal: Refusal, headers: Mapping[str, str] | None = None) -> web.Response:
    body = _json(refusal.body)
    return web.Response(body=body, status=refusal.status, content_type="application/json", headers=headers)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


async def _cut(request: web.Request, content: bytes, announced: bool) -> web.StreamResponse:
    """Send half of the answer, under the whole's length if it is to be `announced`, then close the connection."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    if announced:
        response.content_length = len(content)
    else:
        response.enable_chunked_encoding()
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
