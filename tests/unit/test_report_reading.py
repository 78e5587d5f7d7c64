"""The report reads whatever exists, and names what does not."""

from pathlib import Path
from typing import Any

import pytest
from report_results import HOSTILE, ResultsFolder, config

from llamaduo.cli.errors import InputError
from llamaduo.config.root import Config
from llamaduo.report.calls import read_calls
from llamaduo.report.examples import read_examples
from llamaduo.report.plan import make_plan, read_plan
from llamaduo.report.pool_cycles import read_diversity, read_pool_cycles
from llamaduo.report.pools import read_pools
from llamaduo.report.reading import Reader
from llamaduo.report.results import read_results
from llamaduo.report.runs import Run
from llamaduo.storage.files import read_json, write_json


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    """One task, generator and judge, two models; nothing has run yet."""
    return ResultsFolder(
        tmp_path,
        config(tasks=("coding",), generators=("gpt-4o",), models=("llama-8b", "gemma-2b"), judges=("gemini",)),
    )


def run_of(folder: ResultsFolder, model: str = "llama-8b") -> Run:
    results = read_results(Reader(folder.results), read_plan(folder.config))
    return next(run for run in results.runs if run.name.model == model)


def test_an_empty_folder_has_every_run_not_started_and_says_what_comes_first(folder: ResultsFolder) -> None:
    run = run_of(folder)
    assert (run.verdict, run.volume, run.trained) == ("not started", None, 0)
    assert run.missing == ("volume 0: no dataset (coverage, synthesis or curation)",)


def test_a_converged_run_has_the_cycles_up_to_its_end_and_misses_nothing(folder: ResultsFolder) -> None:
    folder.run("coding", "gpt-4o", "llama-8b")
    run = run_of(folder)
    assert (run.verdict, run.volume, run.trained) == ("converged", 500, 3)
    assert [cycle.volume for cycle in run.cycles] == [0, 250, 500]
    assert run.missing == ()
    assert run.deployment is not None
    assert run.deployment.verification["passed"] is True


def test_a_pool_that_ran_out_ends_a_run_with_the_last_volume_that_was_trained(folder: ResultsFolder) -> None:
    folder.run_out_of_pool("coding", "gpt-4o", "gemma-2b", 1000)
    run = run_of(folder, "gemma-2b")
    assert (run.verdict, run.reason, run.volume, run.trained) == ("exhausted", "yield", 500, 3)
    assert run.advice == "raise synthesis.minimum_yield"
    assert run.missing == ()


@pytest.mark.parametrize(
    ("left", "missing"),
    [
        ([], "dataset (coverage, synthesis or curation)"),
        (["dataset"], "adapter (fine-tuning)"),
        (["dataset", "adapter"], "responses (inference)"),
        (["adapter", "responses"], "grades by gemini (judging)"),
        (["responses", "grades"], "metrics"),
        (["metrics"], "decision"),
    ],
)
def test_an_open_run_names_the_first_step_without_a_result(
    folder: ResultsFolder, left: list[str], missing: str
) -> None:
    folder.run("coding", "gpt-4o", "llama-8b", until=0)
    cycle = folder.folder("coding", "gpt-4o", "llama-8b", 250)
    places = {
        "dataset": folder.results / "datasets/coding/gpt-4o/volume-250.parquet",
        "adapter": cycle / "adapter/adapter_model.safetensors",
        "responses": cycle / "responses.parquet",
        "grades": cycle / "grades/gemini.parquet",
    }
    for name in left:
        if name == "metrics":
            folder.metrics(cycle, 60.0)
        else:
            places[name].parent.mkdir(parents=True, exist_ok=True)
            places[name].touch()
    run = run_of(folder)
    assert run.verdict == "unfinished"
    assert run.missing == (f"volume 250: no {missing}",)


def test_a_sweep_shows_volumes_beyond_the_end_without_changing_the_verdict(folder: ResultsFolder) -> None:
    folder.run("coding", "gpt-4o", "llama-8b")
    folder.cycle("coding", "gpt-4o", "llama-8b", 1000)
    folder.folder("coding", "gpt-4o", "llama-8b", 2000).mkdir(parents=True)
    run = run_of(folder)
    assert (run.verdict, run.volume, run.trained) == ("converged", 500, 3)
    assert [cycle.volume for cycle in run.cycles] == [0, 250, 500, 1000]
    assert run.missing == ("volume 2000: no dataset (coverage, synthesis or curation)",)


def test_an_ended_run_without_its_closing_artifacts_says_so(folder: ResultsFolder) -> None:
    for volume in (0, 250, 500):
        folder.cycle("coding", "gpt-4o", "llama-8b", volume)
    assert run_of(folder).missing == (
        "the run has ended, but its verdict.json is not there",
        "converged, but not deployed",
    )


@pytest.mark.parametrize("verdict", ["expand", "exhausted"])
def test_a_deployment_of_an_earlier_verdict_does_not_count_and_is_told(folder: ResultsFolder, verdict: str) -> None:
    folder.run("coding", "gpt-4o", "llama-8b")
    path = folder.folder("coding", "gpt-4o", "llama-8b", 500) / "decision.json"
    write_json(path, {**read_json(path), "verdict": verdict})
    run = run_of(folder)
    assert run.verdict == {"expand": "unfinished", "exhausted": "exhausted"}[verdict]
    assert run.deployment is None
    assert any("deploy/coding/gpt-4o/llama-8b/model is still there from an earlier" in what for what in run.missing)


def test_a_volume_that_the_pool_no_longer_reaches_is_not_counted_as_trained(folder: ResultsFolder) -> None:
    folder.run("coding", "gpt-4o", "llama-8b")
    verdict = folder.run_out_of_pool("coding", "gpt-4o", "llama-8b", 500)
    run = run_of(folder)
    assert (run.reason, run.volume, run.trained) == ("yield", verdict["volume"], verdict["cycles"]) == ("yield", 250, 2)


def test_a_model_that_was_tuned_elsewhere_is_judged_and_not_trained(tmp_path: Path) -> None:
    values = config(tasks=("coding",), generators=("gpt-4o",), models=("llama-8b",), judges=("gemini",))
    values["models"]["hub-7b"] = {**values["models"]["llama-8b"], "kind": "merged"}
    folder = ResultsFolder(tmp_path, values)
    assert run_of(folder, "hub-7b").missing == ("no responses (inference)",)
    own = folder.results / "baselines/coding/hub-7b"
    folder.metrics(own, 80.0)
    write_json(own / "decision.json", {"verdict": "exhausted", "reason": "volumes", "volume": 0, "criteria": []})
    run = run_of(folder, "hub-7b")
    assert run.tuned_elsewhere
    assert (run.verdict, run.volume, run.trained, run.missing) == ("exhausted", None, 0, ())


def test_a_broken_file_is_named_and_does_not_stop_the_report(folder: ResultsFolder) -> None:
    folder.run("coding", "gpt-4o", "llama-8b")
    cycle = folder.folder("coding", "gpt-4o", "llama-8b", 0)
    (cycle / "metrics.parquet").write_text("not parquet")
    (cycle / "decision.json").write_text("{")
    reader = Reader(folder.results)
    read_results(reader, read_plan(folder.config))
    place = "runs/coding/coverage/llama-8b/volume-0"
    assert [problem.split(": ")[:2] for problem in reader.problems] == [
        [f"{place}/decision.json", "not JSON"],
        [f"{place}/metrics.parquet", "not a parquet file"],
    ]


def test_the_funnel_is_that_of_the_largest_pool_and_adds_up(folder: ResultsFolder) -> None:
    plan = read_plan(folder.config)
    assert read_pools(Reader(folder.results), plan) == ([], [("coding", "gpt-4o")])
    folder.pool("coding", "gpt-4o", chunks=9, accepted=800)
    folder.pool("coding", "gpt-4o", chunks=12, accepted=1100)
    (pool,), missing = read_pools(Reader(folder.results), plan)
    assert missing == []
    assert (pool.chunks, pool.generated, pool.accepted) == (12, 1800, 1100)
    assert pool.generated == pool.accepted + sum(pool.removed.values()) == pool.accepted + sum(pool.reasons.values())
    assert list(pool.removed) == ["unparsable", "rules", "exact", "minhash", "novelty", "decontamination"]


def test_every_cycle_has_the_funnel_of_the_rows_that_it_added(folder: ResultsFolder) -> None:
    plan = read_plan(folder.config)
    low, middle, high, *_ = (volume for volume in plan.tasks["coding"].volumes if volume)
    folder.pool("coding", "gpt-4o", chunks=4, accepted=250)
    folder.pool("coding", "gpt-4o", chunks=10, accepted=900)
    for volume, chunks in ((low, 4), (middle, 4), (high, 10)):
        folder.measured("coding", "gpt-4o", volume, chunks)
    pools, _ = read_pools(Reader(folder.results), plan)
    cycles = read_pool_cycles(Reader(folder.results), plan, pools)
    assert [(cycle.volume, cycle.generated, cycle.accepted) for cycle in cycles] == [
        (low, 600, 250),
        (middle, 0, 0),
        (high, 900, 650),
    ]
    assert all(cycle.generated == cycle.accepted + sum(cycle.removed.values()) for cycle in cycles)
    assert [cycle.new_trigrams for cycle in cycles] == [92.5, None, 67.5]


def test_the_diversity_is_that_of_the_largest_pool(folder: ResultsFolder) -> None:
    folder.pool("coding", "gpt-4o", chunks=9, accepted=800)
    folder.pool("coding", "gpt-4o", chunks=12, accepted=1100)
    reader = Reader(folder.results)
    pools, _ = read_pools(reader, read_plan(folder.config))
    (found,) = read_diversity(reader, pools)
    assert (found.rows, found.different_openings) == (1100, 321)
    assert found.distinct["instruction"] == (12.5, 50, 75)
    (folder.results / "synthesis/coding/gpt-4o/chunks-12/diversity.json").write_text('{"rows": 3}')
    assert read_diversity(reader, pools) == []
    assert "chunks-12/diversity.json" in reader.problems[0]


def test_calls_and_tokens_are_counted_per_service_and_role(folder: ResultsFolder) -> None:
    folder.journal("synthesis/coding/gpt-4o/chunk-0", "gpt-4o", 10)
    folder.journal("synthesis/coding/gpt-4o/chunk-1", "gpt-4o", 5, stop_reason="length")
    folder.journal("judging/baselines/coding/gpt-4o/gemini", "gemini", 7, stop_reason="refusal")
    torn = folder.journal("baselines/coding/gpt-4o", "gpt-4o", 3)
    with torn.open("a") as journal:
        journal.write('{"key": "the process was killed he')
    reader = Reader(folder.results)
    counted = read_calls(reader, read_plan(folder.config), folder.state / "journal")
    shown = [
        (each.service, each.role, each.usage.calls, each.usage.repeated, each.usage.cut, each.usage.refused)
        for each in counted
    ]
    assert shown == [
        ("gemini", "judge", 7, 1, 0, 7),
        ("gpt-4o", "generator", 15, 3, 5, 0),
        ("gpt-4o", "baseline", 3, 0, 0, 0),
    ]
    generator = counted[1]
    assert (generator.usage.prompt_tokens, generator.usage.completion_tokens, generator.simulated) == (1500, 300, True)
    assert (generator.usage.first, generator.usage.last) == ("2026-11-21T03:00:00Z", "2026-11-21T03:09:00Z")
    assert reader.problems == []


def test_examples_are_the_responses_graded_highest_and_lowest(folder: ResultsFolder) -> None:
    folder.run("coding", "gpt-4o", "llama-8b")
    reader, plan = Reader(folder.results), read_plan(folder.config)
    best, worst = read_examples(reader, plan, run_of(folder))
    assert best.title == "graded highest"
    assert best.response.endswith("(answer 2.0)")
    assert {(grade.judge, grade.metric, grade.score) for grade in best.grades} == {
        ("gemini", "similarity", 80.0),
        ("gemini", "precision", 80.0),
    }
    assert best.grades[0].reason == f"It {HOSTILE} says so."
    assert worst.response.endswith("(answer 0.0)")
    assert worst.prompt.endswith("more characters)")


def test_a_config_without_simulated_services_has_none() -> None:
    real, simulated = (make_plan(Config.model_validate(config(simulated=each))) for each in (False, True))
    assert real.simulated(["gpt-4o", "claude", "gemini"]) == []
    assert simulated.simulated(["gemini", "gpt-4o", "gemini", "llama-8b"]) == ["gemini", "gpt-4o"]


@pytest.mark.parametrize(
    ("services", "decision", "expected"),
    [
        (None, {}, ("gpt-4o", "claude")),
        ([], {}, ("gpt-4o",)),  # the thresholds are shares of its scores
        ([], {"epsilon": {"mean": 80, "coverage": 60}}, ()),
        (["gemini"], {"epsilon": {"mean": 80, "coverage": 60}}, ("gemini",)),
    ],
)
def test_the_baselines_expected_are_those_that_the_workflow_makes(
    services: list[str] | None, decision: dict[str, Any], expected: tuple[str, ...]
) -> None:
    values = config(tasks=("coding",), baselines={"services": services, "untuned": False}, decision=decision)
    assert make_plan(Config.model_validate(values)).tasks["coding"].baseline_services == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file"),
        ("{", "not JSON"),
        ("[]", "a mapping of keys"),
        ("{}", "coverage: required key is missing"),
    ],
)
def test_a_config_that_cannot_be_read_is_one_clear_message(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=f"{path.name}: {message}"):
        read_plan(path)
