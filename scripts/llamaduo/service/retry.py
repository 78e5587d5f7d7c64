"""When a request that failed is sent again: after the wait its service asks for, and a random one on top."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from llamaduo.service.interface import Answer, Transient
from llamaduo.service.limits import Limits

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0
LONGEST_REST_SECONDS = 600.0
"""A service that asks to wait longer is out of reach for now, and the program ends rather than hold its place."""

# "Full jitter": a wait drawn evenly between 0 and a bound that doubles with every failure, so that many clients
# that failed together do not come back together (M. Brooker, AWS Architecture Blog, 2015).
_full_jitter = wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS)


class Retries:
    """Sends requests at the service's pace, and again when they fail in a way that may pass.

    Once `stopping` is set nothing is sent any more, and what waits for its turn fails. `on_failure` is told of every
    failed try.
    """

    def __init__(
        self, retries: int, limits: Limits, stopping: asyncio.Event, on_failure: Callable[[str], None]
    ) -> None:
        self._retries, self._limits, self._stopping, self._on_failure = retries, limits, stopping, on_failure

    async def until_answered(self, send: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer of the first try that succeeds. Raises `Transient` when all failed, `Rejected` at once."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Transient),
            stop=self._is_hopeless,
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )
        return await retrying(self._send, send)

    async def _send(self, send: Callable[[], Awaitable[Answer]]) -> Answer:
        if not await self._first(self._limits.turn()):
            raise Transient("not sent")
        try:
            return await send()
        except Transient as error:
            self._on_failure(str(error))
            if error.retry_after:
                self._limits.rest(min(error.retry_after, LONGEST_REST_SECONDS))
            raise

    def _is_hopeless(self, state: RetryCallState) -> bool:
        asked = _asked_wait(state)
        return stop_after_attempt(self._retries + 1)(state) or self._stopping.is_set() or asked > LONGEST_REST_SECONDS

    def _wait(self, state: RetryCallState) -> float:
        return _asked_wait(state) + _full_jitter(state)

    async def _sleep(self, seconds: float) -> None:
        await self._first(asyncio.sleep(seconds))

    async def _first(self, waiting: Coroutine[None, None, None]) -> bool:
        """Wait, but not beyond the moment at which all is to stop; False when that came first."""
        waits = [asyncio.ensure_future(waiting), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return not self._stopping.is_set()


def _asked_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after or 0.0 if isinstance(error, Transient) else 0.0
