"""Install SLURM, run all tests on a cluster, and leave no process of it behind, however the tests end.

    python tests/slurm/all_tests.py [pytest's options]

Most of the time the tests wait for one core or for SLURM, so they run in three parts, each on a cluster of its own.
SLURM finds its settings in /etc/slurm only: each part sees a folder of its own there, by a mount that only it sees.
With options, or where this machine lets nobody mount, all tests run one after another.

On two ordinary cores all of it takes some 20 minutes. It may take 50 (one after another: 60), as it does on slow ones;
then the tests are interrupted, and have failed.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread

from cluster import check_machine, start_munge
from packages import install
from processes import ClusterError
from settings import ETC

FOLDER = Path(__file__).parent
LONG = ["test_loop.py", "test_failures.py"]
"""Each is about as long as all others."""
LIMIT_SECONDS, LIMIT_ONE_AFTER_ANOTHER = 50 * 60, 60 * 60
PATIENCE_SECONDS = 90
"""For the interrupted tests to end their cluster."""


def parts() -> list[list[str]]:
    """The test files of each part; every file is in one."""
    files = [path.name for path in sorted(FOLDER.glob("test_*.py"))]
    return [*([name] for name in LONG), [name for name in files if name not in LONG]]


def may_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


@contextmanager
def running(number: int, tests: Sequence[str], etc: Path | None) -> Iterator["subprocess.Popen[str]"]:
    """Tests on the cluster of this number, with a folder of their own in place of /etc/slurm.

    They are in a session of their own so that all their processes can be ended, at the end of the block at the latest.
    """
    command = [sys.executable, "-m", "pytest", "--verbose", "--durations=15", *tests]
    if etc is not None:
        seen = f'mount --bind "{etc}" "{ETC}" && exec "$@"'
        command = ["unshare", "--mount", "sh", "-c", seen, "sh", *command]
    environment = os.environ | {"LLAMADUO_TEST_CLUSTER_NUMBER": str(number)}
    with subprocess.Popen(
        command, start_new_session=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        teller = Thread(target=tell, args=(process, f"[{number}] " if number else ""), daemon=True)
        teller.start()
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=PATIENCE_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            teller.join(timeout=PATIENCE_SECONDS)


def tell(process: "subprocess.Popen[str]", prefix: str) -> None:
    """Print what a process prints, line by line."""
    assert process.stdout is not None
    for line in process.stdout:
        print(f"{prefix}{line}", end="", flush=True)


def run_tests(options: list[str], numbers: Sequence[int], folder: Path) -> int:
    """The first status of the parts' tests that is not 0."""
    limit = LIMIT_SECONDS if len(numbers) > 1 else LIMIT_ONE_AFTER_ANOTHER
    deadline = time.monotonic() + limit
    with ExitStack() as stack:
        if len(numbers) == 1:
            processes = [stack.enter_context(running(numbers[0], options or [str(FOLDER)], None))]
        else:
            processes = []
            for number, names in zip(numbers, parts(), strict=True):
                (etc := folder / f"etc-{number}").mkdir()
                tests = [str(FOLDER / name) for name in names]
                processes.append(stack.enter_context(running(number, tests, etc)))
        try:
            statuses = [process.wait(timeout=max(0, deadline - time.monotonic())) for process in processes]
        except subprocess.TimeoutExpired:
            print(f"error: not through after {limit / 60:g} minutes", file=sys.stderr, flush=True)
            return 1
    return next((status for status in statuses if status), 0)


def is_ended(number: int) -> bool:
    """End what is left of the cluster of this number; whether nothing is."""
    environment = os.environ | {"LLAMADUO_TEST_CLUSTER_NUMBER": str(number)}
    return subprocess.run([sys.executable, FOLDER / "cluster.py", "down"], env=environment, check=False).returncode == 0


def main() -> None:
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    os.environ.pop("SLURM_CONF", None)
    # Whoever ends this with a signal must not leave a cluster behind.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    # In the background of a shell it would be ignored, by the tests too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status, options = 1, sys.argv[1:]
    folder = Path(tempfile.mkdtemp(prefix="llamaduo-slurm-tests-"))
    numbers = [0] if options or not may_mount() else [1, 2, 3]
    try:
        install()
        check_machine()
        start_munge()
        status = run_tests(options, numbers, folder)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        status = 130
    finally:
        # The daemon that all clusters share is of number 0.
        ended = [is_ended(number) for number in sorted({*numbers, 0}, reverse=True)]
        shutil.rmtree(folder)
    sys.exit(status if all(ended) else status or 1)


if __name__ == "__main__":
    main()
