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
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)
