"""No stale result is kept: whatever becomes of the folders and the times of files, what changed is seen.

The sweep has 1 task, 1 generator, 2 models, the volumes 0, 6 and 12 and 1 judge: 6 cycles, and 3 baselines (the
service and the 2 untuned models), so 9 tables of responses are graded.
"""

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
from leaks import FAKE_KEYS
from workspace import Workspace

GRADED = 9
OF_ONE_MODEL = {"finetune": 3, "respond": 3, "judge": 3, "compute_metrics": 3, "decide": 3, "close_run": 1}
RETRAINED = {**OF_ONE_MODEL, "write_sweep_report": 1}
START = ("--profile", "profiles/demo", "--cores", "2", "sweep")
A_DAY = 86_400


def change_learning_rate_of_gemma(workspace: Workspace) -> None:
    workspace.change("overrides", [{"models": ["gemma"], "training": {"learning_rate": 2.0e-3}}])


def make_older(path: Path) -> None:
    old = path.stat().st_mtime - 30 * A_DAY
    os.utime(path, (old, old))


def clone(workspace: Workspace, folder: Path) -> Workspace:
    """The workflow in another folder, with the results carried there by a copy that keeps no times."""
    shutil.copytree(
        workspace.folder,
        folder,
        symlinks=True,
        copy_function=shutil.copyfile,
        ignore=shutil.ignore_patterns(".snakemake"),
    )
    return Workspace(folder)


# Provenance


def test_results_carried_into_a_fresh_clone_keep_their_provenance(finished: Workspace, tmp_path: Path) -> None:
    cloned = clone(finished, tmp_path / "clone")

    assert cloned.plan("sweep") == {}
    change_learning_rate_of_gemma(cloned)
    assert cloned.plan("sweep") == RETRAINED


def test_a_renamed_results_folder_keeps_its_provenance(finished: Workspace) -> None:
    (finished.folder / "results").rename(finished.folder / "of-may")
    finished.change("results", "of-may")

    assert finished.plan("sweep") == {}
    finished.edit("config/prompts.toml", "You grade the answers", "You grade all the answers")
    assert finished.plan("sweep")["judge"] == GRADED


def test_metadata_that_was_cleaned_up_comes_back(finished: Workspace) -> None:
    cycle = Path("results/runs/animals/writer/gemma/volume-6")
    done = finished.snakemake(
        "--cores", "1", "--cleanup-metadata", str(cycle / "adapter"), str(cycle / "training.parquet")
    )
    assert done.returncode == 0, done.stderr

    change_learning_rate_of_gemma(finished)
    assert finished.plan("sweep") == RETRAINED


def test_results_that_take_the_place_of_others_bring_their_provenance(finished: Workspace) -> None:
    shutil.copytree(finished.path(""), finished.folder / "first", symlinks=True)
    change_learning_rate_of_gemma(finished)
    finished.run("--touch", "sweep")
    finished.path("").rename(finished.folder / "second")
    (finished.folder / "first").rename(finished.path(""))

    assert finished.plan("sweep") == RETRAINED


def test_results_without_any_record_are_taken_when_the_user_says_so(finished: Workspace) -> None:
    shutil.rmtree(finished.folder / ".snakemake")
    shutil.rmtree(finished.path("provenance"))

    refused = finished.snakemake(*START, environment=FAKE_KEYS)
    assert refused.returncode == 1
    (line,) = [line for line in refused.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: results/")
    command = line.split("run `snakemake ", 1)[1].split("`", 1)[0]
    assert command == "--touch --forceall --configfile config.yaml --profile profiles/demo --cores 2 sweep"

    before = {path: path.read_bytes() for path in finished.path("runs").rglob("*.parquet")}
    done = finished.snakemake(*command.replace("--configfile config.yaml ", "").split())
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in finished.path("runs").rglob("*.parquet")} == before
    assert finished.plan("sweep") == {}
    change_learning_rate_of_gemma(finished)
    assert finished.plan("sweep") == RETRAINED


# What the user provides


def test_data_replaced_by_older_files_is_seen(finished: Workspace) -> None:
    train = finished.folder / "pairs" / "train.jsonl"
    train.write_text(train.read_text().replace("It waits for noon.", "It waits for dusk."))
    make_older(train)

    assert finished.plan("sweep")["read_coverage"] == 1


def test_weights_are_told_by_their_content_wherever_they_lie(finished: Workspace, models: dict[str, Path]) -> None:
    moved = finished.folder / "weights"
    shutil.copytree(models["gemma"], moved, copy_function=shutil.copyfile)
    finished.change("models.gemma.path", "weights")
    (finished.folder / "state").rename(finished.folder / "kept")
    finished.change("state", "kept")
    finished.change("coverage.source", "./pairs")
    # The report shows where the models are.
    assert finished.plan("sweep") == {"write_sweep_report": 1}, "other places and times, the same content"

    weights = moved / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    make_older(weights)
    assert finished.plan("sweep")["finetune"] == 3


def test_a_missing_source_is_named_before_anything_starts(finished: Workspace) -> None:
    shutil.rmtree(finished.folder / "pairs")

    done = finished.snakemake(*START, environment=FAKE_KEYS)
    assert done.returncode == 1
    assert "pairs: no such file or folder (coverage.source)" in done.stdout + done.stderr
    assert finished.path("coverage/animals/train.parquet").exists()


# What the workflow keeps


def test_a_fix_in_the_inference_code_is_not_answered_from_finished_responses(finished: Workspace) -> None:
    responses = "results/baselines/animals/gemma/responses.parquet"
    finished.edit(
        "scripts/llamaduo/inference/respond.py", "skip_special_tokens=True).strip()", "skip_special_tokens=True) + '.'"
    )

    finished.run(responses)

    texts = pq.read_table(finished.folder / responses)["candidate_responses"].to_pylist()
    assert texts
    assert all(text.endswith(".") for text in texts)


def test_a_removed_deployed_model_is_made_again(finished: Workspace) -> None:
    finished.change("decision.epsilon.mean", 0)
    verdict = "results/runs/animals/writer/gemma/verdict.json"
    finished.run(verdict, environment=FAKE_KEYS)
    deployed = finished.path("deploy/animals/writer/gemma/model")
    assert (deployed / "model.safetensors").exists()
    assert finished.plan(verdict) == {}

    shutil.rmtree(deployed)
    assert finished.plan(verdict)["deploy_model"] == 1
