"""Work on the rows of a batch by several threads, each taking the next few rows when it is done with its last."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

SLICES_PER_THREAD = 8
"""Rows differ in cost: with several slices per thread none waits long for another."""
FEWEST_ROWS = 16


def in_slices(count: int, threads: int, work: Callable[[int, int, int], None]) -> None:
    """Call `work(first, last, thread)` until `count` rows are done; calls with equal `thread` come one by one."""
    size = max(FEWEST_ROWS, -(-count // (threads * SLICES_PER_THREAD)))
    if threads == 1 or count <= size:
        if count:
            work(0, count, 0)
        return
    # A list iterator hands out each slice once, whichever threads ask: its steps are atomic.
    slices = iter([(first, min(first + size, count)) for first in range(0, count, size)])

    def worker(thread: int) -> None:
        for first, last in slices:
            work(first, last, thread)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(worker, range(threads)))
