"""The workflow in `mode: batch`: the same tables as online, and no table made again because the mode was changed."""

from pathlib import Path

from workspace import Workspace, jobs_in

from llamaduo.config.simulation import BatchSimulation, Simulation
from llamaduo.simulated.log import count_served
from llamaduo.simulated.server import running
from llamaduo.storage import tables
from llamaduo.storage.schemas.grades import grades_schema
from llamaduo.storage.schemas.responses import RESPONSES
from llamaduo.storage.schemas.synthesis import SYNTHESIS

CYCLE = "runs/animals/coverage/llama/volume-0"
TABLES = {
    f"{CYCLE}/grades/grader.parquet": (f"judging/{CYCLE}/grader", grades_schema(["similarity", "precision"])),
    "baselines/animals/writer/responses.parquet": ("baselines/animals/writer", RESPONSES),
    "synthesis/animals/writer/chunk-0.parquet": ("synthesis/animals/writer/chunk-0", SYNTHESIS),
}
TARGETS = [f"results/{table}" for table in TABLES]
CALLS = 3 * 2 * 2 + 3 * 2 + 2
"""Prompts, K and M; prompts and K; the calls of a chunk."""


def set_mode(workspace: Workspace, mode: str) -> None:
    for service in ("writer", "grader"):
        workspace.change(f"services.{service}.mode", mode)


def undated(workspace: Workspace, table: str) -> list[dict[str, object]]:
    rows = tables.read_rows(workspace.path(table), TABLES[table][1])
    return [{name: value for name, value in row.items() if name != "dates"} for row in rows]


def test_batches_make_the_tables_of_online_calls_and_a_changed_mode_makes_none_again(
    finished: Workspace, swept: Workspace, tmp_path: Path
) -> None:
    log = tmp_path / "served.jsonl"
    simulation = Simulation(batches=BatchSimulation(seconds=0.5, expired=0.3), log=str(log))
    with running(simulation) as address:
        for service in ("writer", "grader"):
            finished.change(f"services.{service}.base_url", address)
            finished.change(f"services.{service}.simulated", True)
            finished.change(f"services.{service}.batch_poll_seconds", 0.2)
        set_mode(finished, "batch")
        assert finished.plan("sweep") == {}, "made online, and as good as made in batches"

        for table, (journal, _) in TABLES.items():
            finished.path(table).unlink()
            (finished.folder / "state/journal" / f"{journal}.jsonl").unlink()
        output = finished.run(*TARGETS)

    submissions = {"submit_grades": 1, "submit_responses": 1, "submit_synthesis": 1, "await_batches": 3}
    assert jobs_in(output) == {**submissions, "judge": 1, "respond_service": 1, "synthesize": 1}
    for table in TABLES:
        assert undated(finished, table) == undated(swept, table), table
    assert (count_served(log).answered, count_served(log).repeated) == (CALLS, 0)
    assert finished.plan(*TARGETS) == {}
    set_mode(finished, "online")
    assert finished.plan(*TARGETS) == {}, "made in batches, and as good as made online"
