"""Install SLURM, run all tests on a cluster, and leave no process of it behind, however the tests end.

    python tests/slurm/all_tests.py [pytest's options]

The whole may take 35 minutes; then the tests are interrupted, and have failed.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from cluster import Cluster
from packages import install
from processes import ClusterError, daemons, processes_of_jobs

LIMIT_SECONDS = 35 * 60
PATIENCE_SECONDS = 90
"""For the interrupted tests to end their cluster."""


def run_tests(options: list[str]) -> int:
    """The status of the tests, in a session of their own so that all their processes can be ended."""
    command = [sys.executable, "-m", "pytest", "--durations=15", *(options or [str(Path(__file__).parent)])]
    with subprocess.Popen(command, start_new_session=True) as tests:
        try:
            return tests.wait(timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"error: not through after {LIMIT_SECONDS / 60:g} minutes", file=sys.stderr, flush=True)
            return 1
        finally:
            if tests.poll() is None:
                tests.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    tests.wait(timeout=PATIENCE_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(tests.pid, signal.SIGKILL)


def main() -> None:
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    os.environ.pop("SLURM_CONF", None)
    # Whoever ends this with a signal must not leave a cluster behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    # In the background of a shell it would be ignored, by the tests too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = 1
    try:
        install()
        status = run_tests(sys.argv[1:])
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        status = 130
    finally:
        Cluster().stop()
    if left := [*daemons(), *processes_of_jobs()]:
        sys.exit(f"error: left behind: {', '.join(map(str, left))}")
    sys.exit(status)


if __name__ == "__main__":
    main()
