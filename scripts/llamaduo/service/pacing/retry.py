"""How long a request that failed waits before it is sent again."""

import random

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 60.0


def full_jitter(failures: int) -> float:
    """Seconds to wait after so many failures of a request, besides what its service asks for.

    Drawn evenly between 0 and a bound that doubles with every failure, so that many clients that failed together do
    not come back together (M. Brooker, Exponential Backoff and Jitter, AWS Architecture Blog, 2015).
    """
    bound = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(failures - 1, 16))
    return random.uniform(0.0, bound)  # noqa: S311
