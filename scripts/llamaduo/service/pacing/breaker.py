"""The circuit breaker: a service that is down is left alone for a while, then tried with a single request.

M. Nygard, Release It! (2007), chapter 5.
"""

import asyncio
from contextlib import suppress
from typing import Literal

FAILURES_IN_A_ROW = 10
"""So many failures, over all requests and without an answer in between, are an outage: by chance, where one try in five
fails, they come once in ten million."""
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0


Admission = Literal["send", "probe", "stopped"]


class Down(Exception):  # noqa: N818
    """The service did not come back."""


class Breaker:
    """Open while a service is down: then nothing is sent but one request after each pause, and pauses double.

    After `probes` such requests without an answer the service is given up. `failures`: in a row, so far. `pause`: the
    last one, in seconds.
    """

    def __init__(self, probes: int) -> None:
        self._probes = probes
        self.failures = self._probed = 0
        self.pause = 0.0
        self._until: float | None = None
        self._is_probing = self._is_stopped = False
        self._changed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """Whether the service is held to be down."""
        return self._until is not None

    async def admission(self) -> Admission:
        """Wait until a request may be sent: as any other, or as the one that tries a service that is down."""
        while self._until is not None and not self._is_stopped:
            now = asyncio.get_running_loop().time()
            if not self._is_probing and now >= self._until:
                self._is_probing = True
                return "probe"
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if self._is_probing else self._until - now):
                    await self._changed.wait()
        return "stopped" if self._is_stopped else "send"

    def answered(self) -> None:
        """A request was answered, if only by a refusal to answer so many: the service is up."""
        self.failures = self._probed = 0
        self._close_up()

    def failed(self, admission: Admission) -> None:
        """A request was not answered. Raises `Down` when it was the last that was to be tried."""
        self.failures += 1
        if self._until is None:
            if self.failures >= FAILURES_IN_A_ROW:
                self._open_for(FIRST_PAUSE_SECONDS)
        elif admission == "probe":
            self._is_probing = False
            self._probed += 1
            if self._probed < self._probes:
                self._open_for(min(2 * self.pause, LONGEST_PAUSE_SECONDS))
        if self._until is not None and self._probed >= self._probes:
            raise Down

    def stop(self) -> None:
        """Let nothing be sent any more; whoever waits is turned away."""
        self._is_stopped = True
        self._changed.set()

    def _open_for(self, seconds: float) -> None:
        self.pause = seconds
        self._until = asyncio.get_running_loop().time() + seconds
        self._changed.set()

    def _close_up(self) -> None:
        if self._until is not None:
            self._until = None
            self._is_probing = False
            self._changed.set()
