"""What Google's APIs say in an error besides its status and message. https://cloud.google.com/apis/design/errors"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

TOO_MANY = 429
PER_DAY = "PerDay"
NO_QUOTA = "insufficient_quota"


def code_of(status: int, error: Mapping[str, Any]) -> str | None:
    """The error's code; that of a used up account for a quota of the day, which no wait of a running step ends."""
    if status == TOO_MANY and any(PER_DAY in str(detail.get("violations", "")) for detail in _details(error)):
        return NO_QUOTA
    code = error.get("status")
    return code if isinstance(code, str) else None


def retry_delay(error: Mapping[str, Any]) -> float | None:
    """Seconds to wait as the error states them: {"@type": ".../google.rpc.RetryInfo", "retryDelay": "7.5s"}."""
    for detail in _details(error):
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and delay.endswith("s"):
            with suppress(ValueError):
                return float(delay[:-1])
    return None


def _details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [detail for detail in error.get("details") or [] if isinstance(detail, dict)]
