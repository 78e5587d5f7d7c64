"""The stub that stands for every program when the workflow itself is timed."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUTPUT = re.compile(r"--([\w-]+) \{output")


def test_the_stub_makes_every_output_that_a_rule_names() -> None:
    sys.path.insert(0, str(ROOT / "tests/bench"))
    from bench_workflow import STUB

    # The paper's grid asks nobody by batch.
    rules = [path.read_text() for path in (ROOT / "rules").glob("*.smk") if path.name != "batches.smk"]
    named = {option for text in rules for option in OUTPUT.findall(text)}

    assert {"output", "adapter", "verification"} <= named
    assert [option for option in sorted(named) if f"--{option}" not in STUB] == []
