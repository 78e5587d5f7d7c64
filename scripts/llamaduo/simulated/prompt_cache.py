"""The simulated vendor's cache of prompts: what was written is read for five minutes, each reading renews it.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llamaduo.simulated.conversation import Prefix

SECONDS_KEPT = 300.0
LEAST_TOKENS = 1024
"""A shorter prefix is not cached."""


@dataclass(frozen=True)
class Use:
    """Of a prompt's tokens, how many are read from the cache and how many written to it."""

    read: int = 0
    written: int = 0


class PromptCache:
    """Knows which prefixes of prompts were answered lately."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._until: dict[tuple[str, str], float] = {}
        self._clock = clock

    def look_up(self, model: str, prefixes: Sequence[Prefix]) -> Use:
        """What a prompt with these marked prefixes, the shortest first, is charged for."""
        long_enough = [prefix for prefix in prefixes if prefix.tokens >= LEAST_TOKENS]
        if not long_enough:
            return Use()
        now = self._clock()
        known = [prefix.tokens for prefix in long_enough if self._until.get((model, prefix.digest), 0.0) > now]
        read = max(known, default=0)
        return Use(read, long_enough[-1].tokens - read)

    def keep(self, model: str, prefixes: Sequence[Prefix]) -> None:
        """Remember the prefixes of a prompt that is being answered; those who ask before this do not find them."""
        for prefix in prefixes:
            if prefix.tokens >= LEAST_TOKENS:
                self._until[model, prefix.digest] = self._clock() + SECONDS_KEPT
