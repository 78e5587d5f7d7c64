"""How long Snakemake takes for the paper's grid by itself: planning, and running it with programs that do nothing.

    python tests/bench/bench_workflow.py [--quick]

Prints one line of JSON: seconds to plan the sweep, here and with the SLURM profile, its jobs, seconds to run the grid
with decisions (every run converges at volume 16000) and as a sweep, both on two cores with the demo's profile; beside
them, as the baseline, the seconds that the same number of these programs takes without a workflow. `--quick` takes one
task.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow"))

from workspace import REPOSITORY, Workspace, clean_environment, new_workspace

CORES = "2"
STEPS = re.compile(r"(\d+) of \1 steps \(100%\) done")
# Stands for every program: makes the outputs that its options name, with the little that the workflow reads in them.
STUB = """#!/bin/sh
program=${1##*/}; shift
while [ $# -gt 0 ]; do
  case $1 in
    --chunks) chunks=$2 ;;
    --volume) volume=$2 ;;
    --last) last=$2 ;;
    --training|--verification) : > "$2" ;;
    --folder) for file in pool.parquet rejected.parquet diversity.json; do : > "$2/$file"; done
      echo '{"accepted": 1000000}' > "$2/funnel.json" ;;
    --asking.step) : > "results/costs/$2.parquet" ;;
    --adapter) [ $program = finetune.py ] && mkdir -p "$2" ;;
    --train|--test) [ $program = coverage.py ] && : > "$2" ;;
    --output) output=$2 ;;
  esac
  shift
done
[ -z "$output" ] && exit 0
case $program in
  deploy.py) mkdir -p "$output" ;;
  measure_pool.py) echo "{\\"reached\\": true, \\"chunks\\": $chunks}" > "$output" ;;
  decide.py)
    verdict=expand
    [ "$last" = true ] && verdict=exhausted
    [ "$volume" -ge 16000 ] && verdict=converged
    echo "{\\"verdict\\": \\"$verdict\\"}" > "$output" ;;
  *) : > "$output" ;;
esac
exit 0
"""


def paper(folder: Path, quick: bool) -> Workspace:
    """The workflow with the paper's grid, in which every program is the stub."""
    workspace = new_workspace(folder)
    stub = folder / "stub"
    stub.write_text(STUB)
    stub.chmod(0o755)
    workspace.edit("rules/common.smk", "else sys.executable", f"else {str(stub)!r}")
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    if quick:
        config["tasks"] = {"coding": config["tasks"]["coding"]}
        config["overrides"] = []
    workspace.write_config(config)
    return workspace


def timed(workspace: Workspace, *arguments: str) -> tuple[float, str]:
    """Wall-clock seconds of one call of Snakemake, and what it printed. Hooks would ask for keys and models."""
    start = time.perf_counter()
    done = workspace.snakemake("--no-hooks", *arguments, timeout=3600)
    seconds = time.perf_counter() - start
    output = done.stdout + done.stderr
    if done.returncode:
        sys.exit(output[-4000:])
    return seconds, output


def baseline(workspace: Workspace, count: int) -> float:
    """Seconds for the stub `count` times, as many at once as in the workflow, started by xargs."""
    command = ["xargs", "-P", CORES, "-I{}", str(workspace.folder / "stub"), "judge.py", "--output", "baseline-{}"]
    start = time.perf_counter()
    numbers = "\n".join(map(str, range(count)))
    subprocess.run(command, input=numbers, text=True, cwd=workspace.folder, env=clean_environment(), check=True)
    return time.perf_counter() - start


def main() -> None:
    quick = "--quick" in sys.argv[1:]
    os.environ["PYTHONHASHSEED"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        adaptive, sweep = (paper(Path(folder) / name, quick) for name in ("adaptive", "sweep"))
        plan_seconds, _ = timed(sweep, "--dry-run", "--quiet", "all", "--cores", CORES, "sweep")
        plan_slurm_seconds, _ = timed(sweep, "--dry-run", "--quiet", "all", "--profile", "profiles/slurm", "sweep")
        adaptive_seconds, _ = timed(adaptive, "--profile", "profiles/demo", "--cores", CORES)
        sweep_seconds, output = timed(sweep, "--profile", "profiles/demo", "--cores", CORES, "sweep")
        found = STEPS.findall(output)
        if not found:
            sys.exit(f"no number of steps in what Snakemake printed:\n{output[-2000:]}")
        jobs = int(found[-1])
        figures = {
            "plan_seconds": round(plan_seconds, 2),
            "plan_slurm_seconds": round(plan_slurm_seconds, 2),
            "jobs": jobs,
            "adaptive_seconds": round(adaptive_seconds, 2),
            "sweep_seconds": round(sweep_seconds, 2),
            "sweep_jobs_per_second": round(jobs / sweep_seconds, 1),
            "programs_without_workflow_seconds": round(baseline(sweep, jobs), 2),
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
