"""Interrupted after any of its artifacts, the same command goes on and ends with the tables of an undisturbed run."""

import json
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path

from interruptions import FINISHED_RULE, has_finished, interrupted_start, run_with_interruptions, tables_of
from workspace import Workspace

from llamaduo.config.simulation import BatchSimulation, Simulation
from llamaduo.simulated.log import count_served
from llamaduo.simulated.server import running

RUN = "runs/animals/writer/llama"
POOLS = "synthesis/animals/writer"
POOL_OF_VOLUME_12 = [f"{POOLS}/{name}" for name in ("chunk-1.parquet", "chunk-2.parquet", "chunks-2", "chunks-3")]
DATASET = "datasets/animals/writer/volume-12.parquet"
CYCLE_OF_VOLUME_12 = [f"{POOLS}/volume-12.json", DATASET, f"{RUN}/volume-12", f"{RUN}/verdict.json"]
"""What is made after the decision of volume 6: the pool in two rounds, then the cycle."""
INTERRUPTED_AFTER = {
    *("submit_responses", "submit_synthesis", "await_batches", "respond_service", "synthesize"),
    *("curate", "measure_pool", "build_dataset", "decide", "close_run"),
}
"""The rules around pools, decisions, batches and the service's baseline.

Nothing is decided between a cycle's training and its metrics, so no start ends there. It would cost a minute more;
tests/bench/interrupted_everywhere.py does it.
"""
KILLED_TWICE_THEN_STOPPED = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT)


def with_one_model(workspace: Workspace) -> None:
    workspace.change("models", {"llama": workspace.config["models"]["llama"]})


def remove(workspace: Workspace, paths: Iterable[str]) -> None:
    for path in map(workspace.path, paths):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def test_a_run_interrupted_after_each_artifact_ends_with_the_tables_of_an_undisturbed_one(
    finished: Workspace, swept: Workspace, tmp_path: Path
) -> None:
    """The pool takes a second round for volume 12, and a further one for volume 20, which it does not reach.

    Slow by intent: some twenty starts. The generator answers in batches, which the undisturbed run did not use.
    """
    with_one_model(finished)
    finished.change("tasks.animals.volumes", [0, 6, 12, 20])
    finished.change("synthesis.minimum_yield", 0.7)
    shutil.rmtree(finished.folder / "state")
    remove(finished, [*POOL_OF_VOLUME_12, *CYCLE_OF_VOLUME_12, "baselines/animals/writer", "report"])
    log = tmp_path / "served.jsonl"
    with running(Simulation(batches=BatchSimulation(seconds=0.2), log=str(log))) as address:
        writer = finished.config["services"]["writer"]
        in_batches = {"base_url": address, "simulated": True, "mode": "batch", "batch_poll_seconds": 0.1}
        finished.change("services.writer", writer | in_batches)

        run_with_interruptions(finished, tmp_path / "output.txt", KILLED_TWICE_THEN_STOPPED, INTERRUPTED_AFTER)

    undisturbed, interrupted = tables_of(swept), tables_of(finished)
    different = {path for path in undisturbed if undisturbed[path] != interrupted.get(path)}
    assert different == {f"{RUN}/volume-12/decision.json", f"{RUN}/verdict.json"}, "only what the next volume changes"
    verdict = json.loads(finished.path(f"{RUN}/verdict.json").read_text())
    assert (verdict["verdict"], verdict["reason"]) == ("exhausted", "yield")
    assert "minimum_yield" in finished.path("report/index.html").read_text()
    assert count_served(log).repeated == 0, "nothing was paid for twice"


def test_a_decision_made_again_goes_on_with_the_pool_that_is_there(
    finished: Workspace, swept: Workspace, tmp_path: Path
) -> None:
    with_one_model(finished)
    remove(finished, [f"{RUN}/volume-6/decision.json", *CYCLE_OF_VOLUME_12])

    output = tmp_path / "output.txt"
    status = interrupted_start(finished, output, signal.SIGKILL, has_finished({"build_dataset"}))

    assert status is None, output.read_text()
    assert finished.path(DATASET).read_bytes() == swept.path(DATASET).read_bytes()
    assert "curate" not in FINISHED_RULE.findall(output.read_text())
