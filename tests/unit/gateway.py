"""A gateway before the simulated service that can hold a request, so that a test can kill its sender."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import aiohttp
from aiohttp import web
from loopback import serving

Moment = Literal["before", "after"]


class Gateway:
    """Hands on whatever comes. `hold` names the first request to be kept waiting, before or after it is answered."""

    def __init__(self, target: str) -> None:
        self.address, self._target = "", target
        self._hold: tuple[str, re.Pattern[str], Moment] | None = None
        self._held = threading.Event()
        self.seen: list[str] = []

    def hold(self, method: str, path: str, moment: Moment) -> None:
        """Keep the next request with this method and a path that matches, `before` it is handed on or `after` it."""
        self._held.clear()
        self._hold = (method, re.compile(path), moment)

    def wait_until_held(self, seconds: float = 60) -> None:
        assert self._held.wait(seconds), f"no such request among {self.seen}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path}")
        hold = self._hold
        is_held = hold is not None and request.method == hold[0] and hold[1].fullmatch(request.path) is not None
        body = await request.content.read()
        if is_held and hold is not None and hold[2] == "before":
            await self._wait()
        # The host goes along, so that addresses in answers lead through here.
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, f"{self._target}{request.rel_url}", data=body, headers=request.headers
            ) as answer,
        ):
            content, status, headers = await answer.read(), answer.status, answer.headers
        if is_held:
            await self._wait()
        kept = {name: value for name, value in headers.items() if name.lower() not in ("transfer-encoding", "date")}
        return web.Response(body=content, status=status, headers=kept)

    async def _wait(self) -> None:
        self._hold = None
        self._held.set()
        await asyncio.sleep(60)


@contextmanager
def gateway(target: str) -> Iterator[Gateway]:
    """A gateway before the service at the address `target`."""
    made = Gateway(target)
    with serving(made.handle, handler_cancellation=True) as made.address:
        yield made
