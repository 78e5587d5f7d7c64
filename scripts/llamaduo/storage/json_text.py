"""JSON in texts that others wrote: read where it is whole, and as far as it goes where it was cut off."""

import json
import re
from collections.abc import Iterator
from typing import Any

FENCE = "```"
_BETWEEN_ITEMS = re.compile(r"[\s,]*")


def parse(text: str) -> Any:
    """The value that a text is, with or without the Markdown block that models without enforced schemas put it into.

    Raises `ValueError`, and nothing else, for any other text.
    """
    try:
        return json.loads(_without_fence(text))
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except ValueError as error:
        # Python converts no integer of more than 4300 digits (sys.set_int_max_str_digits).
        raise ValueError("a number has too many digits") from error


def whole_items(text: str, start: int) -> Iterator[Any]:
    """The items of a list that are whole, read one by one; `start` is the position after its opening bracket."""
    decoder = json.JSONDecoder()
    position = start
    while True:
        between = _BETWEEN_ITEMS.match(text, position)
        try:
            item, position = decoder.raw_decode(text, between.end() if between else position)
        except (ValueError, RecursionError):
            return
        yield item


def _without_fence(text: str) -> str:
    stripped = text.strip()
    if not stripped.startswith(FENCE) or not stripped.endswith(FENCE):
        return text
    language, line_break, inside = stripped.removeprefix(FENCE).partition("\n")
    return inside.removesuffix(FENCE) if line_break and language.strip().lower() in ("", "json") else text
