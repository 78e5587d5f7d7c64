"""What the endpoints for batches have in common, whatever the vendor."""

from abc import ABC, abstractmethod

from aiohttp import web

from llamaduo.simulated.batches.store import Body, SimulatedBatch, Store
from llamaduo.simulated.protocols.interface import Problem, WireProtocol


class BatchEndpoints(ABC):
    """The endpoints for the files and batches in a `store`, worded as one vendor does."""

    def __init__(self, store: Store, protocol: WireProtocol) -> None:
        self._store, self._protocol = store, protocol

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """Where the vendor's SDK sends its requests to."""

    @abstractmethod
    def _shown(self, batch: SimulatedBatch, request: web.Request) -> Body:
        """A batch as the vendor words it."""

    def _canceled(self, batch: SimulatedBatch, request: web.Request) -> Body:
        """What the vendor answers when a batch was cancelled."""
        return self._shown(batch, request)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        batch = self._store.batches.get(request.match_info["batch"])
        return web.json_response(self._shown(batch, request)) if batch else self._no_batch()

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        batch = self._store.batches.get(request.match_info["batch"])
        if batch is None:
            return self._no_batch()
        self._store.cancel(batch)
        return web.json_response(self._canceled(batch, request))

    async def _download(self, request: web.Request) -> web.StreamResponse:
        content = self._store.files.get(request.match_info["file"])
        return self._refused("not_found", "no such file") if content is None else web.Response(body=content)

    def _no_batch(self) -> web.Response:
        return self._refused("not_found", "no such batch")

    def _refused(self, problem: Problem, message: str) -> web.Response:
        refusal = self._protocol.refusal(problem, message)
        return web.json_response(refusal.body, status=refusal.status)
