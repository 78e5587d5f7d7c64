"""What a service tells about its limits in the headers of its responses.

https://platform.openai.com/docs/guides/rate-limits and https://platform.claude.com/docs/en/api/rate-limits; Gemini's
responses tell nothing.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

Kind = Literal["requests", "tokens"]

_OPENAI: tuple[tuple[Kind, str], ...] = (("requests", "requests"), ("tokens", "tokens"))
_ANTHROPIC: tuple[tuple[Kind, str], ...] = (
    ("requests", "requests"),
    ("tokens", "tokens"),
    ("tokens", "input-tokens"),
    ("tokens", "output-tokens"),
)
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_PARTS = (86400.0, 3600.0, 60.0, 1.0, 0.001)


@dataclass(frozen=True)
class Told:
    """One limit: how many units of its kind it allows, how many are left, and in how many seconds all are again.

    `whole`: whether it is for all tokens, and not for those of prompts or of answers alone.
    """

    kind: Kind
    limit: float
    remaining: float | None
    reset: float | None
    whole: bool = True


def read(headers: Mapping[str, str]) -> list[Told]:
    """The limits that a response's headers tell; those that cannot be read are passed over."""
    # Most responses tell nothing, and each look-up by name costs more than one look at all names.
    if not any("ratelimit" in name for name in headers):
        return []
    return [*_openai(headers), *_anthropic(headers)]


def _openai(headers: Mapping[str, str]) -> Iterator[Told]:
    for kind, name in _OPENAI:
        limit = _number(headers.get(f"x-ratelimit-limit-{name}"))
        if limit:
            remaining = _number(headers.get(f"x-ratelimit-remaining-{name}"))
            yield Told(kind, limit, remaining, _seconds(headers.get(f"x-ratelimit-reset-{name}")))


def _anthropic(headers: Mapping[str, str]) -> Iterator[Told]:
    for kind, name in _ANTHROPIC:
        limit = _number(headers.get(f"anthropic-ratelimit-{name}-limit"))
        if limit:
            remaining = _number(headers.get(f"anthropic-ratelimit-{name}-remaining"))
            reset = _until(headers.get(f"anthropic-ratelimit-{name}-reset"), headers.get("date"))
            yield Told(kind, limit, remaining, reset, whole=name == kind)


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return number if number is not None and 0 <= number < float("inf") else None


def _seconds(text: str | None) -> float | None:
    """A duration such as 6m0s, 1.5s, 120ms or, in plain seconds, 12."""
    if not text:
        return None
    if (number := _number(text)) is not None:
        return number
    parts = _DURATION.fullmatch(text.strip())
    if parts is None or not any(parts.groups()):
        return None
    return sum(float(part) * unit for part, unit in zip(parts.groups(), _PARTS, strict=True) if part)


def _until(text: str | None, date: str | None) -> float | None:
    """Seconds to a time (RFC 3339), by the server's own clock where the response tells it."""
    if not text:
        return None
    try:
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return max(0.0, (datetime.fromisoformat(text) - now).total_seconds())
    except (TypeError, ValueError):
        return None
