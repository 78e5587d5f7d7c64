"""Interrupted after any of its artifacts, the same command goes on and ends with the tables of an undisturbed run."""

import itertools
import json
import shutil
import signal
from pathlib import Path

from interruptions import has_finished, interrupted_start, tables_of
from workspace import Workspace

from llamaduo.config.simulation import BatchSimulation, Simulation
from llamaduo.simulated.log import count_served
from llamaduo.simulated.server import running

RUN = "runs/animals/writer/llama"
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT)
INTERRUPTED_AFTER = {
    *("submit_responses", "submit_synthesis", "await_batches", "respond_service", "synthesize"),
    *("curate", "measure_pool", "build_dataset", "decide", "close_run"),
}
"""Rules of the interrupted jobs: those around pools, decisions, batches and baselines.

Between training, responses, grades and metrics of a cycle nothing is decided.
"""


def test_a_run_interrupted_after_each_artifact_ends_with_the_tables_of_an_undisturbed_one(
    finished: Workspace, swept: Workspace, tmp_path: Path
) -> None:
    """Two volumes whose first pools are too small, the second of which is out of reach; the generator in batches.

    Slow by intent: each start makes one artifact of a new kind and is interrupted.
    """
    models = finished.config["models"]
    finished.change("models", {"llama": models["llama"]})
    finished.change("tasks.animals.volumes", [0, 6, 12, 20])
    finished.change("synthesis.minimum_yield", 0.7)
    shutil.rmtree(finished.folder / "state")
    shutil.rmtree(finished.path("report"))
    finished.path(f"{RUN}/verdict.json").unlink()
    shutil.rmtree(finished.path(f"{RUN}/volume-12"))
    shutil.rmtree(finished.path("baselines/animals/writer"))
    finished.path("datasets/animals/writer/volume-12.parquet").unlink()
    finished.path("synthesis/animals/writer/volume-12.json").unlink()
    for made_later in ("chunk-1.parquet", "chunk-2.parquet", "chunks-2", "chunks-3"):
        path = finished.path(f"synthesis/animals/writer/{made_later}")
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    log, output = tmp_path / "served.jsonl", tmp_path / "output.txt"
    with running(Simulation(batches=BatchSimulation(seconds=0.2), log=str(log))) as address:
        finished.change("services.writer.base_url", address)
        finished.change("services.writer.simulated", True)
        finished.change("services.writer.mode", "batch")
        finished.change("services.writer.batch_poll_seconds", 0.1)

        for starts, sign in enumerate(itertools.cycle(SIGNALS), 1):
            status = interrupted_start(finished, output, sign, has_finished(INTERRUPTED_AFTER))
            print(starts, sign.name, status, output.read_text().count("Finished jobid"))
            assert starts < 40, output.read_text()
            if status is not None:
                break

    assert status == 0, output.read_text()
    expected, made = tables_of(swept), tables_of(finished)
    different = {path for path in expected.keys() & made.keys() if expected[path] != made[path]}
    assert different == {f"{RUN}/volume-12/decision.json", f"{RUN}/verdict.json"}
    assert not expected.keys() - made.keys()
    verdict = json.loads(finished.path(f"{RUN}/verdict.json").read_text())
    assert (verdict["verdict"], verdict["reason"]) == ("exhausted", "yield")
    print(count_served(log))
    assert count_served(log).repeated == 0
