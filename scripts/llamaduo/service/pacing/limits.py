"""How fast a service is asked: at an even pace below its limits, and not at all when it asks for a rest."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from llamaduo.service.pacing import rate_headers
from llamaduo.service.pacing.pace import MINUTE, Pace, Taken

LONGEST_REST_SECONDS = 600.0
"""A service that asks to wait longer is out of reach for now, and the program ends rather than hold its place."""
LONGEST_RESET = 1.5
"""Minutes after which a limit per minute is wholly there again; one per day takes longer."""
SAME_REFILL = 0.1
"""A bucket that fills up steadily is full again just when its limit per minute says so, give or take this share."""
LARGEST_FADES = 0.95
"""By this factor per request the largest one is forgotten, so that one of unusual size does not slow all later ones."""
SHOWN_WAIT_SECONDS = 0.5
"""A wait of less is the even pace itself, which nobody needs to be told of."""


@dataclass(frozen=True)
class Turn:
    """What was reserved of the limits for one request."""

    request: Taken
    tokens: Taken


class Limits:
    """The pace of all requests to one service, on the running event loop's clock.

    The limits that the settings give are the most that is ever used; the service's own, as its headers tell them,
    take their place where they are lower, or where the settings give none.
    """

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self._given = {"requests": requests_per_minute, "tokens": tokens_per_minute}
        self._pace = {kind: Pace(limit) for kind, limit in self._given.items()}
        self._requests, self._tokens = self._pace["requests"], self._pace["tokens"]
        self._rest_until = 0.0
        self._queue = asyncio.Lock()
        self._changed = asyncio.Event()
        self._is_stopped = False
        self._largest = 1.0
        self.waiting_seconds = 0.0

    async def turn(self, tokens: float) -> Turn | None:
        """Wait until the next request may start, first come, first served, and reserve what it may use.

        `tokens`: as many as its prompt and its answers may have. None when all was stopped before it came to that.
        """
        self._largest = max(LARGEST_FADES * self._largest, tokens)
        async with self._queue:
            while not self._is_stopped:
                now = asyncio.get_running_loop().time()
                wait = self._wait(now, tokens)
                if wait <= 0:
                    self.waiting_seconds = 0.0
                    return Turn(self._requests.take(now), self._tokens.take(now, tokens))
                self.waiting_seconds = wait if wait >= SHOWN_WAIT_SECONDS else 0.0
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._changed.wait()
        return None

    def sent(self, turn: Turn) -> None:
        """Note that the request goes out only now: a connection may have had to be made, or the program was held up."""
        now = asyncio.get_running_loop().time()
        self._requests.sent(turn.request, now)
        self._tokens.sent(turn.tokens, now)

    def used(self, turn: Turn, tokens: float) -> None:
        """Put the tokens that a request really used in the place of those reserved for it."""
        self._tokens.correct(turn.tokens, tokens)
        self._changed.set()

    def rest(self, seconds: float) -> None:
        """Let no request start for so long, as a service asks that found them too many."""
        until = asyncio.get_running_loop().time() + seconds
        self._rest_until = max(self._rest_until, until)
        for pace in self._pace.values():
            pace.hold(until)

    def observe(self, headers: Mapping[str, str]) -> None:
        """Take up what the headers of a response tell about the service's limits."""
        told = rate_headers.read(headers)
        for kind, pace in self._pace.items():
            limits = [one for one in told if one.kind == kind]
            self._keep_to(pace, self._given[kind], limits)
            for one in limits:
                self._rest_when_spent(pace, one, self._largest if kind == "tokens" and one.whole else 1)

    def stop(self) -> None:
        """Let no request start any more; whoever waits for a turn gets none."""
        self._is_stopped = True
        self._changed.set()

    def _wait(self, now: float, tokens: float) -> float:
        return max(self._rest_until - now, self._requests.wait(now), self._tokens.wait(now, tokens))

    @staticmethod
    def _keep_to(pace: Pace, given: float | None, told: list[rate_headers.Told]) -> None:
        # A limit that takes longer to be there again is one per day, which says nothing about the pace.
        limits = [one.limit for one in told if one.whole and (one.reset is None or one.reset <= LONGEST_RESET * MINUTE)]
        if limits or pace.per_minute is None:
            pace.limit(min((limit for limit in (given, *limits) if limit is not None), default=None))

    @staticmethod
    def _rest_when_spent(pace: Pace, told: rate_headers.Told, needed: float) -> None:
        """Rest when less is left than the next request needs, until there will be enough."""
        if told.remaining is None or told.reset is None or told.reset > LONGEST_REST_SECONDS:
            return
        lacking = min(needed, told.limit) - told.remaining
        if lacking > 0:
            refill = MINUTE * (told.limit - told.remaining) / told.limit
            is_steady = abs(told.reset - refill) <= SAME_REFILL * refill
            rest = MINUTE * lacking / told.limit if is_steady else told.reset
            pace.hold(asyncio.get_running_loop().time() + rest)
