"""After an edit exactly the steps that it invalidates run again: the jobs of dry-runs of a finished sweep.

The sweep has 1 task, 1 generator, 2 models, the volumes 0, 6 and 12 and 1 judge: 6 cycles, and 3 baselines (the
service and the 2 untuned models), so 9 tables of responses are graded.
"""

import shutil
from pathlib import Path

from workspace import Workspace

CYCLES, BASELINES, RUNS = 6, 3, 2
GRADED = CYCLES + BASELINES
AFTER_METRICS = {"decide": CYCLES, "close_run": RUNS, "write_sweep_report": 1}
ALL_GRADES = {"judge": GRADED, "compute_metrics": GRADED, **AFTER_METRICS}


def test_nothing_reruns_without_an_edit(finished: Workspace) -> None:
    assert finished.plan("sweep") == {}


def test_the_loop_after_the_sweep_has_only_its_report_to_write(finished: Workspace) -> None:
    assert finished.plan() == {"write_report": 1}


def test_the_judges_wording_reruns_grades_and_what_follows(finished: Workspace) -> None:
    finished.edit("config/prompts.toml", "You grade the answers", "You grade all the answers")

    assert finished.plan("sweep") == ALL_GRADES


def test_the_generators_wording_leaves_volume_0_alone(finished: Workspace) -> None:
    finished.edit("config/prompts.toml", '[generator]\nsystem = """\n', '[generator]\nsystem = """\nCarefully: ')

    jobs = finished.plan("sweep")

    assert jobs["synthesize"] >= 2
    assert jobs["finetune"] == CYCLES - RUNS
    assert "read_coverage" not in jobs


def test_zeta_reruns_metrics_and_decisions(finished: Workspace) -> None:
    finished.change("metrics", {"zeta": [40, 70]})

    assert finished.plan("sweep") == {"compute_metrics": GRADED, **AFTER_METRICS}


def test_epsilon_reruns_decisions(finished: Workspace) -> None:
    finished.change("decision.epsilon.mean", 99)

    assert finished.plan("sweep") == AFTER_METRICS


def test_one_models_learning_rate_reruns_that_model(finished: Workspace) -> None:
    finished.change("overrides", [{"models": ["gemma"], "training": {"learning_rate": 2.0e-3}}])

    assert finished.plan("sweep") == {
        "finetune": 3,
        "respond": 3,
        "judge": 3,
        "compute_metrics": 3,
        "decide": 3,
        "close_run": 1,
        "write_sweep_report": 1,
    }


def test_a_comment_in_the_package_reruns_nothing(finished: Workspace) -> None:
    for module in ("judging/grades.py", "training/finetune.py", "storage/tables.py"):
        path = finished.folder / "scripts" / "llamaduo" / module
        path.write_text(path.read_text() + "\n# A comment.\n")

    assert finished.plan("sweep") == {}


def test_a_function_of_the_judging_package_reruns_grades(finished: Workspace) -> None:
    path = finished.folder / "scripts" / "llamaduo" / "judging" / "grades.py"
    path.write_text(path.read_text() + "\n\ndef another() -> int:\n    return 1\n")

    assert finished.plan("sweep") == ALL_GRADES


def test_a_progress_message_reruns_nothing(finished: Workspace) -> None:
    finished.edit("scripts/llamaduo/cli/progress.py", '"stopped"', '"interrupted"')

    assert finished.plan("sweep") == {}


def test_addresses_limits_and_pace_rerun_nothing(finished: Workspace) -> None:
    finished.change("services.grader.concurrency", 3)
    finished.change("services.grader.steps_at_once", 2)
    finished.change("services.grader.requests_per_minute", 1000)
    finished.change("services.writer.timeout_seconds", 7)
    finished.change("training.checkpoint_minutes", 1)
    finished.change("inference.batch_tokens", 512)
    finished.change("estimate", {"training_teraflops": 20, "billion_parameters": {"gemma": 70}})
    finished.change("resources", {"margin": 3, "memory_growth": 2})

    assert finished.plan("sweep") == {}


def test_the_order_of_keys_reruns_nothing(finished: Workspace) -> None:
    config = finished.config
    config["training"] = dict(reversed(config["training"].items()))
    finished.write_config(dict(reversed(config.items())))

    assert finished.plan("sweep") == {}


def test_a_new_model_runs_alone(finished: Workspace, models: dict[str, Path]) -> None:
    finished.change("models.another", {"path": str(models["gemma"])})

    assert finished.plan("sweep") == {
        "finetune": 3,
        "respond": 3,
        "respond_untuned": 1,
        "judge": 4,
        "compute_metrics": 4,
        "decide": 3,
        "close_run": 1,
        "write_sweep_report": 1,
    }


def test_a_new_judge_grades_everything_and_nobody_else_does(finished: Workspace) -> None:
    finished.change("services.second", {"provider": "gemini", "model": "second", "base_url": "simulated"})
    finished.change("judges", ["grader", "second"])

    assert finished.plan("sweep") == ALL_GRADES


def test_a_volume_between_two_others_moves_nothing(finished: Workspace) -> None:
    finished.change("tasks.animals.volumes", [0, 6, 9, 12])

    # The number of volume 12's cycle is part of its decision.
    assert finished.plan("sweep") == {
        "measure_pool": 1,
        "build_dataset": 1,
        "finetune": 2,
        "respond": 2,
        "judge": 2,
        "compute_metrics": 2,
        "decide": 4,
        "close_run": 2,
        "write_sweep_report": 1,
    }


def test_more_samples_rerun_responses_and_grades_and_train_nothing(finished: Workspace) -> None:
    finished.change("inference.samples", 3)

    assert finished.plan("sweep") == {"respond": 6, "respond_untuned": 2, "respond_service": 1, **ALL_GRADES}


def test_more_grades_rerun_the_grades(finished: Workspace) -> None:
    finished.change("judging.grades", 3)

    assert finished.plan("sweep") == ALL_GRADES


def test_runs_proceed_in_parallel(finished: Workspace) -> None:
    """Both runs have decided to expand at volume 0; the loop then trains the next cycle of both at once."""
    for model in ("gemma", "llama"):
        for volume in (6, 12):
            shutil.rmtree(finished.path(f"runs/animals/writer/{model}/volume-{volume}"))
        finished.path(f"runs/animals/writer/{model}/verdict.json").unlink()

    jobs = finished.plan()

    assert jobs["finetune"] == RUNS
    assert jobs["decide"] == RUNS


def test_a_models_sampling_retrains_nothing(finished: Workspace) -> None:
    finished.change("models.gemma.generation", {"temperature": 0.5})

    jobs = finished.plan("sweep")

    assert "finetune" not in jobs
    assert (jobs["respond"], jobs["respond_untuned"]) == (3, 1)
