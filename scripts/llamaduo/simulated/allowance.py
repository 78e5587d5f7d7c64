"""The simulated account's limits: so many requests and tokens within any minute."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

SECONDS = 60.0


@dataclass(frozen=True)
class Left:
    """What is left of a limit in the running minute, for requests and for tokens; None without such a limit.

    `reset` is in seconds: when all of the limit is free again if nothing more is asked.
    """

    requests: "Share | None"
    tokens: "Share | None"


@dataclass(frozen=True)
class Share:
    limit: int
    remaining: int
    reset: float


class Allowance:
    """Counts what was taken within the last minute, to the moment: no minute, wherever it begins, holds more."""

    def __init__(
        self, requests: float | None, tokens: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._windows = {name: _Window(limit) for name, limit in (("requests", requests), ("tokens", tokens)) if limit}
        self._clock = clock

    def take(self, tokens: int) -> float | None:
        """Take a request of so many tokens; the seconds to wait when it is one too many, and it is not taken then."""
        now = self._clock()
        amounts = {name: 1 if name == "requests" else tokens for name in self._windows}
        waits = [self._windows[name].wait(amount, now) for name, amount in amounts.items()]
        if any(waits):
            return max(waits)
        for name, amount in amounts.items():
            self._windows[name].take(amount, now)
        return None

    def left(self) -> Left:
        """What is left now."""
        now = self._clock()
        shares = {name: window.share(now) for name, window in self._windows.items()}
        return Left(shares.get("requests"), shares.get("tokens"))


class _Window:
    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._taken: deque[tuple[float, int]] = deque()
        self._total = 0

    def wait(self, amount: int, now: float) -> float:
        self._forget(now)
        # What is more than the whole limit is let through alone, or it would never be.
        excess = self._total + min(amount, math.floor(self._limit)) - self._limit
        if excess <= 0:
            return 0.0
        for moment, taken in self._taken:
            excess -= taken
            if excess <= 0:
                return moment + SECONDS - now
        return SECONDS

    def take(self, amount: int, now: float) -> None:
        self._taken.append((now, amount))
        self._total += amount

    def share(self, now: float) -> Share:
        self._forget(now)
        reset = self._taken[-1][0] + SECONDS - now if self._taken else 0.0
        return Share(math.floor(self._limit), max(0, math.floor(self._limit) - self._total), reset)

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0][0] <= now - SECONDS:
            self._total -= self._taken.popleft()[1]
