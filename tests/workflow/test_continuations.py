"""What the workflow does with a training that was stopped, and with one that would fail again."""

from workspace import Workspace

VOLUME_0 = "runs/animals/coverage/llama/volume-0"
PROFILE = ("--profile", "profiles/demo", "--cores", "2")


def test_a_training_longer_than_its_job_is_continued_by_the_next_and_a_hopeless_one_is_not_tried_again(
    fresh: Workspace,
) -> None:
    target = f"results/{VOLUME_0}/training.parquet"
    fresh.change("training.overlong", "error")
    fresh.change("training.max_length", 16)
    failed = fresh.snakemake(*PROFILE, target)
    said = failed.stdout + failed.stderr
    assert failed.returncode != 0
    assert "more than training.max_length = 16" in said
    assert "Trying to restart job" not in said

    fresh.change("training.max_length", 256)
    output = fresh.run(target, "--set-resources", "finetune:runtime=0")  # time for one step of the two
    assert output.count("Trying to restart job") == 1
    assert "stopped at step 1 of 2, with a checkpoint: the job ends in" in output
    assert fresh.path(f"{VOLUME_0}/adapter/training.json").is_file()
    assert not list((fresh.folder / "state/checkpoints").glob("*/*"))


def test_a_training_that_does_not_take_its_options_is_not_tried_again(fresh: Workspace) -> None:
    fresh.edit("scripts/finetune.py", "    time_limit: float | None = None,\n", "    limit: float | None = None,\n")

    failed = fresh.snakemake(*PROFILE, f"results/{VOLUME_0}/training.parquet")

    said = failed.stdout + failed.stderr
    assert failed.returncode != 0
    assert "unrecognized arguments: --time-limit" in said
    assert "Trying to restart job" not in said
