"""The whole loop, interrupted after every job: by kills, then by Ctrl-C; both end with an undisturbed run's tables.

Takes some 20 minutes on two cores: python tests/bench/interrupted_everywhere.py [FOLDER]
"""

import signal
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "workflow"), str(TESTS / "unit"), str(TESTS.parent / "scripts")]

from conftest import prepared
from interruptions import run_with_interruptions, tables_of
from tiny_models import build_tiny_model


def main(folder: Path) -> None:
    """Run the micro config with one model three times and compare the tables."""
    build_tiny_model("llama", folder / "llama")
    undisturbed = prepared(folder / "undisturbed", {"llama": folder / "llama"})
    undisturbed.run()
    expected = tables_of(undisturbed)
    for sign in (signal.SIGKILL, signal.SIGINT):
        workspace = prepared(folder / sign.name, {"llama": folder / "llama"})
        run_with_interruptions(workspace, folder / f"{sign.name}.txt", [sign])
        made = tables_of(workspace)
        different = [path for path in sorted(expected | made) if expected.get(path) != made.get(path)]
        assert not different, f"{sign.name}: other than in the undisturbed run: {', '.join(different)}"
        print(f"{sign.name}: {len(made)} artifacts as in the undisturbed run")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(Path(folder))
