"""Progress that can be read on a terminal, in a log file and in a batch job's output alike."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Counts towards `total` and prints a line at the start, at most every few seconds, and at the end.

    `total` is None when it is not known. `status` is asked for the words that end a line.
    """

    def __init__(
        self, label: str, total: int | None, unit: str = "it", done: int = 0, status: Callable[[], str] | None = None
    ) -> None:
        self.label, self.total, self.unit, self.done = label, total, unit, done
        self._status = status
        self._at_start = done
        self._start = self._last = time.monotonic()

    def __enter__(self) -> Self:
        self._print("")
        return self

    def advance(self, by: int = 1, note: str = "", was_done: bool = False) -> None:
        """Count `by` more; `note` (such as the current loss) ends the line when one is due.

        `was_done`: they were done in an earlier run, and do not count for the rate.
        """
        self.done += by
        if was_done:
            self._at_start += by
        if time.monotonic() - self._last >= SECONDS_BETWEEN_LINES:
            self._print(note)

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._print("" if kind is None else "stopped")

    def _print(self, note: str) -> None:
        self._last = time.monotonic()
        note = ", ".join(part for part in (note, self._status() if self._status else "") if part)
        meter = tqdm.format_meter(
            self.done,
            self.total,  # type: ignore[arg-type]  # None is taken, and shown as a mere count
            self._last - self._start,
            prefix=self.label,
            unit=self.unit,
            initial=self._at_start,
            ncols=80,
            ascii=True,
        )
        # After the meter, which would cut it off.
        print(f"{meter} {note}".rstrip(), file=sys.stderr, flush=True)
