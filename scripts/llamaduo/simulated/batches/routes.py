"""The batch endpoints of the simulated service, in the words of the three vendors that have them."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from llamaduo.config.simulation import BatchSimulation
from llamaduo.simulated.batches.anthropic import AnthropicBatches
from llamaduo.simulated.batches.endpoints import BatchEndpoints
from llamaduo.simulated.batches.gemini import GeminiBatches
from llamaduo.simulated.batches.openai import OpenAIBatches
from llamaduo.simulated.batches.store import Body, Line, SimulatedBatch, Store
from llamaduo.simulated.protocols.anthropic import AnthropicProtocol
from llamaduo.simulated.protocols.gemini import GeminiProtocol
from llamaduo.simulated.protocols.interface import WireProtocol
from llamaduo.simulated.protocols.openai import OpenAIProtocol

Respond = Callable[[WireProtocol, str, SimulatedBatch, Line], Body]
"""The answer to one call of a batch in a protocol; the text is the path that the call would have by itself."""
Guard = Callable[[WireProtocol, web.Request], web.Response | None]
"""What a request is refused with whose key is wrong; None for others."""


def add_batches(application: web.Application, simulation: BatchSimulation, respond: Respond, guard: Guard) -> None:
    """Add the endpoints for files and batches to an application."""
    vendors: tuple[tuple[type[BatchEndpoints], WireProtocol, str, bool], ...] = (
        (OpenAIBatches, OpenAIProtocol(), "/v1/chat/completions", True),
        (AnthropicBatches, AnthropicProtocol(), "/v1/messages", False),
        (GeminiBatches, GeminiProtocol(), "/v1beta/models/{}:generateContent", True),
    )
    for endpoints, protocol, path, can_fail in vendors:
        store = Store(simulation, _respond(respond, protocol, path), can_fail)
        for route in endpoints(store, protocol).routes():
            application.router.add_route(route.method, route.path, _guarded(route.handler, protocol, guard))


def _respond(respond: Respond, protocol: WireProtocol, path: str) -> Callable[[SimulatedBatch, Line], Body]:
    return lambda batch, line: respond(protocol, path.format(batch.model), batch, line)


def _guarded(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]], protocol: WireProtocol, guard: Guard
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        # The address that the parts of an upload are sent to is the key to it; the SDK shows no other.
        refused = None if "upload_id" in request.query else guard(protocol, request)
        return refused or await handler(request)

    return handle
