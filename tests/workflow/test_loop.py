"""The loop with micro settings, run for real: what it leaves behind, how runs end, what a second start does."""

import json
from itertools import pairwise
from pathlib import Path

from workspace import NOTHING, Workspace

from llamaduo.storage import tables
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.schemas.dataset import DATASET
from llamaduo.storage.schemas.grades import grades_schema
from llamaduo.storage.schemas.metrics import METRICS
from llamaduo.storage.schemas.responses import RESPONSES
from llamaduo.storage.schemas.synthesis import POOL, REJECTED, SYNTHESIS
from llamaduo.storage.schemas.training import TRAINING

CYCLE = "runs/animals/writer/gemma/volume-12"


def test_every_artifact_passes_its_schema(swept: Workspace) -> None:
    expected = {
        "coverage/animals/train.parquet": COVERAGE,
        "coverage/animals/test.parquet": COVERAGE,
        "synthesis/animals/writer/chunk-0.parquet": SYNTHESIS,
        "datasets/animals/writer/volume-12.parquet": DATASET,
        f"{CYCLE}/training.parquet": TRAINING,
        f"{CYCLE}/responses.parquet": RESPONSES,
        f"{CYCLE}/grades/grader.parquet": grades_schema(["similarity", "precision"]),
        f"{CYCLE}/metrics.parquet": METRICS,
        "baselines/animals/writer/metrics.parquet": METRICS,
        "baselines/animals/gemma/responses.parquet": RESPONSES,
    }
    for path, schema in expected.items():
        assert tables.read_rows(swept.path(path), schema), path
    pools = sorted(swept.path("synthesis/animals/writer").glob("chunks-*"))
    assert pools
    for pool in pools:
        assert tables.read_rows(pool / "pool.parquet", POOL)
        tables.read_rows(pool / "rejected.parquet", REJECTED)


def test_the_smaller_dataset_is_a_prefix_of_the_larger(swept: Workspace) -> None:
    rows = {
        volume: tables.read_rows(swept.path(f"datasets/animals/{generator}/volume-{volume}.parquet"), DATASET)
        for volume, generator in ((0, "coverage"), (6, "writer"), (12, "writer"))
    }

    assert [len(rows[volume]) for volume in (0, 6, 12)] == [12, 18, 24]
    assert rows[6][:12] == rows[0]
    assert rows[12][:18] == rows[6]


def test_a_pool_is_a_prefix_of_the_next_pool(swept: Workspace) -> None:
    folders = sorted(swept.path("synthesis/animals/writer").glob("chunks-*"), key=lambda path: int(path.name[7:]))
    pools = [tables.read_rows(folder / "pool.parquet", POOL) for folder in folders]

    assert len(pools) > 1
    for smaller, larger in pairwise(pools):
        assert larger[: len(smaller)] == smaller


def test_runs_that_reach_no_threshold_end_exhausted_after_their_last_volume(swept: Workspace) -> None:
    for model in ("gemma", "llama"):
        verdict = json.loads(swept.path(f"runs/animals/writer/{model}/verdict.json").read_text())
        assert (verdict["verdict"], verdict["reason"]) == ("exhausted", "volumes")
    assert not swept.path("deploy").exists(), "a run that has not converged deploys nothing"


def test_the_report_names_the_simulated_service(swept: Workspace) -> None:
    page = swept.path("report/sweep.html").read_text()

    assert "simulated" in page.lower()
    assert "exhausted" in page


def test_no_artifact_holds_a_path_of_this_machine(swept: Workspace) -> None:
    for path in swept.path("runs").rglob("*.json"):
        assert str(swept.folder) not in path.read_text(), path


def test_the_loop_stops_a_run_as_soon_as_it_has_converged(finished: Workspace) -> None:
    """From the finished sweep: the first decision that ends a run closes it, and the report follows."""
    finished.change("decision.epsilon.mean", 0)

    output = finished.run()

    for model in ("gemma", "llama"):
        verdict = json.loads(finished.path(f"runs/animals/writer/{model}/verdict.json").read_text())
        assert (verdict["verdict"], verdict["volume"]) == ("converged", 0)
        assert finished.path(f"deploy/animals/writer/{model}/model/model.safetensors").is_file()
        card = finished.path(f"deploy/animals/writer/{model}/model/README.md").read_text()
        assert "simulated" in card.lower()
    assert "index.html" in output
    again = finished.run()
    assert NOTHING in again


def test_the_report_renders_what_exists_and_names_what_is_missing(finished: Workspace) -> None:
    for file in Path(finished.path("runs/animals/writer/llama/volume-12")).glob("*.*"):
        file.unlink()
    finished.path("runs/animals/writer/llama/verdict.json").unlink()

    for _ in range(2):  # whenever it is asked for
        finished.path("report/index.html").unlink(missing_ok=True)
        finished.run("report")

    page = finished.path("report/index.html").read_text()
    assert "llama" in page
    assert "missing" in page.lower() or "unfinished" in page.lower()
