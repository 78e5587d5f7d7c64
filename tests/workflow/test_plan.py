"""The plan for the paper's grid, made without network, keys or GPU, against formulas written down independently."""

import re
import sys
from pathlib import Path

import pytest
from workspace import REPOSITORY, Workspace, jobs_in, new_workspace

# arXiv 2408.13467: generators and synthetic volumes 2^n k per task, four models, three judges.
GENERATORS = {"summarization": 3, "classification": 1, "coding": 1, "closed_qa": 1}
VOLUMES = {"summarization": 9, "classification": 8, "coding": 8, "closed_qa": 8}
MODELS, JUDGES = 4, 3
SHELL_COMMAND, CLONE = "Shell command: ", "/srv/llamaduo"


def chunks_for(volume: int, pairs_per_call: int = 10, smallest: int = 20, growth: float = 0.1) -> int:
    """Chunks that ask for a volume of pairs, each chunk at least `smallest` calls and a tenth of those before."""
    chunks = calls = 0
    while calls * pairs_per_call < volume:
        calls += max(smallest, int(growth * calls))
        chunks += 1
    return chunks


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = new_workspace(tmp_path_factory.mktemp("paper") / "workspace")
    (workspace.folder / "config.yaml").write_text((REPOSITORY / "config" / "config.yaml").read_text())
    return workspace


def test_a_dry_run_of_the_sweep_lists_the_papers_grid(paper: Workspace) -> None:
    done = paper.snakemake("--dry-run", "sweep", "--quiet", "rules", "reason", "host")
    assert done.returncode == 0, done.stderr[-4000:]
    jobs = jobs_in(done.stdout + done.stderr)

    cycles = sum(MODELS * (1 + GENERATORS[task] * VOLUMES[task]) for task in GENERATORS)
    services, untuned = sum(GENERATORS.values()), MODELS * len(GENERATORS)
    graded = cycles + services + untuned
    pools = {task: [chunks_for(1000 * 2**n) for n in range(VOLUMES[task])] for task in GENERATORS}

    assert jobs == {
        "read_coverage": 4,
        "synthesize": sum(GENERATORS[task] * max(pools[task]) for task in GENERATORS),
        "curate": sum(GENERATORS[task] * len(set(pools[task])) for task in GENERATORS),
        "measure_pool": sum(GENERATORS[task] * VOLUMES[task] for task in GENERATORS),
        "build_dataset": sum(1 + GENERATORS[task] * VOLUMES[task] for task in GENERATORS),
        "finetune": cycles,
        "respond": cycles,
        "respond_service": services,
        "respond_untuned": untuned,
        "judge": JUDGES * graded,
        "compute_metrics": graded,
        "decide": cycles,
        "close_run": 24,
        "write_sweep_report": 1,
    }


def test_a_dry_run_of_the_loop_starts_every_run_at_volume_0(paper: Workspace) -> None:
    jobs = paper.plan()

    assert jobs["finetune"] == MODELS * len(GENERATORS)
    assert jobs["close_run"] == 24
    assert "synthesize" not in jobs, "synthesis waits for a decision that asks for more data"


def test_planning_writes_no_artifact(paper: Workspace) -> None:
    paper.plan("sweep")

    assert not (paper.folder / "results").exists()
    assert not (paper.folder / "state").exists()


def test_the_coverage_target_only_reads_the_coverage_dataset(paper: Workspace) -> None:
    assert paper.plan("coverage") == {"read_coverage": 4}


def test_every_rule_has_what_a_cluster_and_a_reader_need() -> None:
    # These always run when asked for: a benchmark would be a file of theirs, and a fingerprint has nothing to compare.
    always_run, without_need = {"report", "prefetch", "estimate", "pilot", "status"}, {"fingerprint", "benchmark:"}
    for file in sorted((REPOSITORY / "rules").glob("*.smk")):
        text = Path(file).read_text()
        for block in re.split(r"^(?:rule|checkpoint) ", text, flags=re.MULTILINE)[1:]:
            name = block.split(":", 1)[0]
            found = block.replace("step(", "fingerprint")  # it is among the params that every step has
            for directive in ("log:", "benchmark:", "threads:", "resources:", "message:", "conda:", "fingerprint"):
                exempt = name in always_run and directive in without_need
                assert exempt or directive in found, f"{file.name}: {name}: {directive}"


def test_no_job_of_the_demo_has_a_long_command_line(fresh: Workspace) -> None:
    """Settings are in files, and a pool's chunks are one word for the shell: as in a clone at /srv/llamaduo."""
    (fresh.folder / "config.yaml").write_text((REPOSITORY / "config" / "demo.yaml").read_text())
    done = fresh.snakemake("--dry-run", "--printshellcmds", "--profile", "profiles/demo", "--", "sweep")
    printed = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(SHELL_COMMAND)]
    places = {sys.executable: f"{CLONE}/.venv/bin/python", str(fresh.folder): CLONE}
    lengths = [len(re.sub("|".join(places), lambda found: places[found.group()], line)) for line in printed]

    assert len(lengths) > 50, done.stdout + done.stderr
    assert max(lengths) - len(SHELL_COMMAND) <= 600
