"""Progress that can be read on a terminal, in a log file and in a batch job's output alike."""

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Counts towards `total` and prints a line at the start, at most every few seconds, and at the end."""

    def __init__(self, label: str, total: int, unit: str = "it", done: int = 0) -> None:
        self.label, self.total, self.unit, self.done = label, total, unit, done
        self._at_start = done
        self._start = self._last = time.monotonic()

    def __enter__(self) -> Self:
        self._print("")
        return self

    def advance(self, by: int = 1, note: str = "") -> None:
        """Count `by` more; `note` (such as the current loss) ends the line when one is due."""
        self.done += by
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._print(note)

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._print("" if kind is None else "stopped")

    def _print(self, note: str) -> None:
        self._last = time.monotonic()
        meter = tqdm.format_meter(
            self.done,
            self.total,
            self._last - self._start,
            prefix=self.label,
            unit=self.unit,
            postfix=note or None,
            initial=self._at_start,
            ncols=100,
            ascii=True,
        )
        print(meter, file=sys.stderr, flush=True)
