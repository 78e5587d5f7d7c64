"""An even pace below a limit per minute, of requests or of tokens, as plain arithmetic on times that are handed in."""

from collections import deque
from dataclasses import dataclass

MINUTE = 60.0
JITTER_SECONDS = 0.25
"""By so much two requests' ways to the server may differ in length without the later one coming too early there.

It is all that is left unused of a limit: 0.25 s of 60.25 s, 0.4 %.
"""
CATCH_UP_SECONDS = 1.0
"""So much of what a program that was held up did not send in time, it sends at once when it goes on."""


@dataclass
class Taken:
    """What was taken from a pace: when, in seconds of the clock that times are told by, and how many units."""

    time: float
    units: float
    is_recent: bool = True


class Pace:
    """At most `per_minute` units within any minute, in even steps; None for no limit.

    Servers count in many ways: by a sliding window, by the calendar's minute, by a bucket that fills up steadily and
    may be small. Starts in even steps keep to all of them, and use all that each of them gives.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._per_minute = per_minute
        self._due = self._held_until = float("-inf")
        self._recent: deque[Taken] = deque()
        self._sum = 0.0
        self._remembers = True

    @property
    def per_minute(self) -> float | None:
        """The limit that is kept now."""
        return self._per_minute

    def limit(self, per_minute: float | None) -> None:
        """Keep to another limit from now on; what was taken within the last minute counts against it."""
        if per_minute is None:
            self._forget(float("inf"))
        self._remembers = per_minute is not None
        self._per_minute = per_minute

    def wait(self, now: float, units: float = 1) -> float:
        """Seconds until so many units may be taken; 0 when they may be now."""
        wait = max(self._due, self._held_until) - now
        if self._per_minute is None:
            return max(0.0, wait)
        self._forget(now)
        # After having caught up, the steps alone would let more than the limit into one minute.
        surplus = self._sum + units - self._per_minute
        for taken in self._recent:
            if surplus <= 0:
                break
            surplus -= taken.units
            wait = max(wait, taken.time + MINUTE + JITTER_SECONDS - now)
        return max(0.0, wait)

    def take(self, now: float, units: float = 1) -> Taken:
        """Take units, which are as many as are reserved for a request before it is sent."""
        taken = Taken(now, units, self._remembers)
        if self._remembers:
            self._forget(now)
            self._recent.append(taken)
            self._sum += units
        # There is nothing to catch up before the first.
        late = 0.0 if self._due == float("-inf") else CATCH_UP_SECONDS
        self._due = max(self._due, self._held_until, now - late) + self._step(units)
        return taken

    def sent(self, taken: Taken, now: float) -> None:
        """Count what was taken from when its request was really sent, which may be some time after it was let go."""
        taken.time = max(taken.time, now)

    def correct(self, taken: Taken, units: float) -> None:
        """Book the units that were really used, when that is known, in place of those taken."""
        surplus = taken.units - units
        taken.units = units
        if taken.is_recent:
            self._sum -= surplus
        self._due -= self._step(surplus)

    def hold(self, until: float) -> None:
        """Let nothing be taken until then, and then go on in even steps, with nothing to catch up.

        Unlike the steps, a rest is not shortened by units that are given back.
        """
        self._held_until = max(self._held_until, until)

    def _step(self, units: float) -> float:
        return 0.0 if self._per_minute is None else units * (MINUTE + JITTER_SECONDS) / self._per_minute

    def _forget(self, now: float) -> None:
        while self._recent and self._recent[0].time <= now - MINUTE - JITTER_SECONDS:
            taken = self._recent.popleft()
            taken.is_recent = False
            self._sum -= taken.units
