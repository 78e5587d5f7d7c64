"""Looking for an API key where none may be: in files, whatever they are packed in, and in lists of processes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow.parquet as pq

FAKE_KEY = "sk-fake-Recognisable-0123456789"
KEY_VARIABLES = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "SERVICE_LLM_API_KEY")
FAKE_KEYS = dict.fromkeys(KEY_VARIABLES, FAKE_KEY)
COMMAND_LINES = "command-lines-with-a-key"
"""The file of a workspace that holds the command lines seen during its run that told a key."""
SECONDS_BETWEEN_LOOKS = 0.25


@contextmanager
def command_lines_with(key: str) -> Iterator[list[str]]:
    """The command lines of all processes of this machine that hold the key, looked at again and again."""
    found: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if key in line:
                        found.append(line)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def files_with(key: str, folder: Path) -> list[Path]:
    """The files below a folder that hold the key; tables are unpacked first."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and _holds(path, key)]


def _holds(path: Path, key: str) -> bool:
    if key.encode() in path.read_bytes():
        return True
    return path.suffix == ".parquet" and key in str(pq.read_table(path).to_pylist())
