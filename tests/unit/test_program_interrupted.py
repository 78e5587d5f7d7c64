"""What a program says when its user presses Ctrl-C."""

import subprocess
import sys

PROGRAM = """
import os, signal
from llamaduo.cli.program import run

def main() -> None:
    os.kill(os.getpid(), signal.SIGINT)

run(main, "a program that is interrupted")
"""


def test_ctrl_c_ends_a_program_in_one_line_and_not_in_a_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)

    assert done.returncode == 130
    assert done.stderr == "interrupted\n"
