"""An interpreter that has the large libraries loaded: importing them takes most of the time of a tiny step.

Every program still runs in a process of its own, from the workspace's own copy of the scripts: only the libraries,
which no test changes, are there already. `python loaded.py SOCKET` is the process that all others are forked from.
"""

import atexit
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIBRARIES = (
    *("torch", "trl.trainer.sft_trainer", "peft", "transformers", "bitsandbytes", "safetensors.torch"),
    *("openai", "anthropic", "google.genai", "pydantic", "jsonargparse"),
    *("pyarrow.parquet", "pandas", "scipy.stats", "jinja2", "yaml", "datasketch", "rouge_score.rouge_scorer"),
)
# Stands in for Python where Snakemake runs a program; whatever is no script is left to Python itself.
CLIENT = """#!{python} -IS
import json, os, socket, sys
if not sys.argv[1:] or not sys.argv[1].endswith(".py"):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({address!r})
    request = json.dumps([os.getcwd(), dict(os.environ), sys.argv[1:]]).encode()
    socket.send_fds(connection, [len(request).to_bytes(4, "big")], [0, 1, 2])
    connection.sendall(request)
    answer = connection.recv(1)
sys.exit(answer[0] if answer else 1)
"""


@contextmanager
def loaded_python(environment: dict[str, str]) -> Iterator[Path]:
    """The path of such an interpreter, for as long as the context lasts."""
    with tempfile.TemporaryDirectory() as folder:
        address, client = f"{folder}/socket", Path(folder) / "python"
        client.write_text(CLIENT.format(python=sys.executable, address=address))
        client.chmod(0o755)
        command = [sys.executable, __file__, address]
        # The end of its standard input, also when this process is killed, is the server's end.
        with subprocess.Popen(
            command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            yield client


def serve(address: str) -> None:
    """Run every program that is asked for in a fork of this process, one after another or side by side."""
    for library in LIBRARIES:
        importlib.import_module(library)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        # The system forgets children that have ended; what a program's status is, its own parent says.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if not os.fork():
                    listener.close()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    watch(connection)


def watch(connection: socket.socket) -> None:
    """Fork the program that a client asks for, and tell the client how it ended."""
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    request = b""
    while len(request) < int.from_bytes(size, "big"):
        request += connection.recv(1 << 16)
    if not (program := os.fork()):
        connection.close()
        run(streams, *json.loads(request))
    for stream in streams:
        os.close(stream)
    status = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    connection.sendall(bytes([status if status >= 0 else 128 - status]))
    os._exit(0)


def run(streams: list[int], folder: str, environment: dict[str, str], arguments: list[str]) -> None:
    """Be the process that runs a script."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    sys.path[0] = str(Path(arguments[0]).parent)
    status: object = 0
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
        status = 1
    # Not by `sys.exit`: this process has the frames of the one that it was forked from.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    serve(sys.argv[1])
