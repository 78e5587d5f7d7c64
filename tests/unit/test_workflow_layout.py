"""Paths under the results and the state folder are spelt in one module."""

import re
from pathlib import Path

from workflow_config import REPOSITORY

FOLDERS = (
    *("coverage", "synthesis", "datasets", "runs", "baselines", "deploy", "report", "settings", "logs", "benchmarks"),
    *("costs", "batches", "journal", "ledger", "checkpoints", "responses", "curation", "pilot"),
)
JOINED = re.compile(rf"""/\s*f?["']({"|".join(FOLDERS)})["'/]""")
"""A folder's name joined to a path."""
SPELT = re.compile(rf"""(results|state)/({"|".join(FOLDERS)})\b""")
"""A path below the default names of the two folders."""
LAYOUT = Path("scripts/llamaduo/workflow/layout.py")
EXPLAINED = {
    Path("scripts/batches.py"): "the default of an option, for use by hand",
    Path("scripts/llamaduo/demo/build.py"): "the demo's coverage dataset, which is the user's own in any other folder",
    Path("scripts/llamaduo/service/batches/records.py"): "a docstring",
    Path("rules/report.smk"): "a folder of the package",
}


def test_paths_are_spelt_in_the_layout_only() -> None:
    files = [*(REPOSITORY / "scripts").rglob("*.py"), *(REPOSITORY / "rules").glob("*.smk"), REPOSITORY / "Snakefile"]
    found = {
        str(path.relative_to(REPOSITORY)): match.group()
        for path in files
        for line in path.read_text(encoding="utf-8").splitlines()
        if not line.lstrip().startswith("#") and (match := JOINED.search(line) or SPELT.search(line))
        if path.relative_to(REPOSITORY) not in {LAYOUT, *EXPLAINED}
    }

    assert found == {}
