"""Functions compiled to machine code on first use, and kept compiled where there is a place to keep them.

numba keeps what it compiled beside the module (`__pycache__`), in the folder that NUMBA_CACHE_DIR names, or in the
user's own cache, whichever can be written first; its files carry the processor's features, so that the nodes of a
cluster share one folder. Where nothing can be written, every process compiles anew (some seconds).
"""

import sys
from collections.abc import Callable
from typing import Any

# numba reports to the package `coverage` where there is one. Beside our programs that name is one of them: to numba
# it must look as if there were none, unless the real one is running.
_HIDDEN = "coverage" not in sys.modules
if _HIDDEN:
    sys.modules["coverage"] = None  # type: ignore[assignment]
try:
    import numba
finally:
    if _HIDDEN:
        del sys.modules["coverage"]

Function = Callable[..., Any]


def compiled(function: Function) -> Function:
    """`function` compiled; it lets other Python threads run meanwhile.

    A compiled function sees changes of others that it calls only if they are in its own module.
    """
    return _compiled(function)


def inlined(function: Function) -> Function:
    """The same for a small function that others call for every element: it becomes part of them.

    A call of its own would count a reference to every array that it is given, which takes longer than its work.
    """
    return _compiled(function, inline="always")


def _compiled(function: Function, **options: Any) -> Function:
    try:
        return numba.njit(cache=True, nogil=True, **options)(function)
    except RuntimeError:
        return numba.njit(nogil=True, **options)(function)
