"""Arrays that grow."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def with_room(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """`array` with at least so many rows, those that are there kept and further ones 0; it grows by doubling."""
    if rows <= len(array):
        return array
    grown = np.zeros((max(rows, 2 * len(array)), *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown
