"""An HTTP server of a test, on a free port of the loopback interface and in a thread of its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web


@contextmanager
def serving(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]], handler_cancellation: bool = False
) -> Iterator[str]:
    """The address of a server that answers every request by `handle`, until the block ends.

    `handler_cancellation`: whether `handle` ends when its client has gone.
    """
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()
    started: list[str] = []

    async def serve() -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", handle)
        # Whoever was killed is not waited for.
        runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=0.0, handler_cancellation=handler_cancellation
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        started.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        ready.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
