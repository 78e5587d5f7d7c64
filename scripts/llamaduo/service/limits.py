"""How fast a service is asked: an even pace below its limit, and a rest whenever it asks for one."""

import asyncio

from aiolimiter import AsyncLimiter

SECONDS_PER_MINUTE = 60.0


class Limits:
    """The pace of all requests to one service."""

    def __init__(self, requests_per_minute: float | None) -> None:
        # One at a time rather than a minute's worth at once: a full bucket would let twice the limit into one minute.
        self._pace = AsyncLimiter(1, SECONDS_PER_MINUTE / requests_per_minute) if requests_per_minute else None
        self._rest_until = 0.0

    def rest(self, seconds: float) -> None:
        """Let no request start for so long, as a service asks that found them too many."""
        self._rest_until = max(self._rest_until, asyncio.get_running_loop().time() + seconds)

    async def turn(self) -> None:
        """Wait until the next request may start."""
        if self._pace is not None:
            await self._pace.acquire()
        while (rest := self._rest_until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(rest)
