"""HTTP over aiohttp under the vendors' SDKs: at many requests in flight it costs half the time of their own."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import aiohttp
import httpx2
from yarl import URL

_MEANINGS: tuple[tuple[type[Exception], type[httpx2.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout),
    (asyncio.TimeoutError, httpx2.ReadTimeout),
    (aiohttp.ClientConnectorError, httpx2.ConnectError),
    (aiohttp.ClientConnectionError, httpx2.RemoteProtocolError),
    (aiohttp.ClientError, httpx2.RemoteProtocolError),
)
"""What aiohttp raises, and the SDKs' word for it; the first that fits counts."""


WHEN_SENT: ContextVar[Callable[[], None] | None] = ContextVar("WHEN_SENT", default=None)
"""Is called as soon as the request that a task makes is really sent, after a connection was made for it."""


class AiohttpTransport(httpx2.AsyncBaseTransport):
    """Sends what an SDK hands to httpx2 through one aiohttp session, and hands back whole bodies only."""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._session is None:
            self._session = self._open()
        seconds = request.extensions.get("timeout", {})
        timeout = aiohttp.ClientTimeout(
            total=None, connect=seconds.get("pool"), sock_connect=seconds.get("connect"), sock_read=seconds.get("read")
        )
        try:
            # A redirect is followed by httpx2, and a compressed body is unpacked by it.
            async with self._session.request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=await request.aread(),
                allow_redirects=False,
                timeout=timeout,
                trace_request_ctx=WHEN_SENT.get(),
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            meaning = next(meaning for kind, meaning in _MEANINGS if isinstance(error, kind))
            raise meaning(str(error) or type(error).__name__, request=request) from error
        return httpx2.Response(response.status, headers=list(response.raw_headers), content=content, request=request)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, ssl=httpx2.create_ssl_context()),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            auto_decompress=False,
            trust_env=False,
            trace_configs=[_tracing()],
        )


def _tracing() -> aiohttp.TraceConfig:
    async def tell(session: aiohttp.ClientSession, context: Any, sent: aiohttp.TraceRequestHeadersSentParams) -> None:
        if context.trace_request_ctx is not None:
            context.trace_request_ctx()

    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(tell)
    return tracing
