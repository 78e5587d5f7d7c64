"""What a plan comes to before anything is spent, what a pilot measures, and what is forbidden to whom."""

import json
import os
from pathlib import Path

import pytest
from coverage_files import no_robots_rows
from test_config import PRESET, small

from llamaduo.cli.errors import InputError
from llamaduo.config.budget import BudgetSettings
from llamaduo.config.load import load, validate
from llamaduo.config.root import Config
from llamaduo.config.services import Price
from llamaduo.estimate.calls import CallSize, call_sizes
from llamaduo.estimate.data import read_data
from llamaduo.estimate.measured import read_measured, read_sizes
from llamaduo.estimate.notes import notes
from llamaduo.estimate.pilot import pilot
from llamaduo.estimate.privacy import sent
from llamaduo.estimate.steps import BYTES_LOOKED_AT, AskedStep, answers_held, step_estimate
from llamaduo.estimate.table import added, text
from llamaduo.estimate.work import Work, estimate
from llamaduo.service.journal.reading import read_records
from llamaduo.service.prompts import load as load_prompts
from llamaduo.simulated.log import count_served
from llamaduo.storage.schemas.costs import COSTS
from llamaduo.storage.tables import write_rows

ROOT = Path(__file__).parents[2]
PROMPTS = load_prompts(ROOT / "config" / "prompts.toml")
PRICE = Price(prompt=2.5, completion=10, batch_prompt=1.25, batch_completion=5)


def works(config: Config, folder: Path, measured: dict[tuple[str, str, str], CallSize] | None = None) -> list[Work]:
    data = read_data(config, folder)
    return estimate(config, data, call_sizes(config, PROMPTS, data, measured or {}), {})


def lines(work: Work, stage: str) -> dict[str, int]:
    return {line.who: line.calls for line in work.lines if line.stage == stage}


def priced(**service: object) -> dict[str, object]:
    own = {"provider": "openai", "model": "gpt-4o", "price": PRICE.model_dump(), **service}
    return {"gpt": own, "claude": {"provider": "anthropic", "model": "claude-sonnet-4-5"}}


def test_the_papers_grid_is_bounded_from_below_by_its_first_volume_and_from_above_by_all(tmp_path: Path) -> None:
    lower, upper = works(load(PRESET), tmp_path)

    # 4 tasks of 20 assumed test prompts, K = 4; judged are 4 models' volume 0, 4 untuned, and the services' own.
    subjects = 4 * (4 + 4) + 3 + 1 + 1 + 1
    assert lines(lower, "synthesis") == {}
    assert sum(line.calls for line in lower.lines if line.who == "gpt-4o" and line.stage == "judging") == subjects * 80
    assert sum(line.jobs for line in lower.lines if line.stage == "fine-tuning") == 16
    # Above: 24 runs, each with all its volumes, volume 0 shared by the generators of summarization.
    assert sum(line.jobs for line in upper.lines if line.stage == "fine-tuning") == 4 * (3 * 9 + 1) + 3 * 4 * 9
    for name in ("gpu_hours", "disk", "jobs"):
        assert 0 < getattr(added(lower.lines), name) < getattr(added(upper.lines), name), name
    for name in ("calls", "dollars"):
        assert 0 < getattr(added(lower.lines).usage, name) < getattr(added(upper.lines).usage, name), name


def test_samples_per_call_batches_and_measured_sizes_change_the_dollars(tmp_path: Path) -> None:
    size = {("chat", "gpt", "judge"): CallSize(900, 100, measured=True)}

    def judging(**service: object) -> tuple[int, float | None]:
        lower, _ = works(validate(small(services=priced(**service)), "my.yaml"), tmp_path, size)
        line = next(line for line in lower.lines if line.stage == "judging")
        return line.calls, line.dollars

    calls, single = judging()
    assert judging(samples_per_call=10) == (calls / 10, pytest.approx(single * (0.225 + 1.0) / 3.25))  # type: ignore[operator]
    assert judging(mode="batch") == (calls, pytest.approx(single / 2))  # type: ignore[operator]


def test_rows_that_are_on_this_machine_count_and_others_are_assumed(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"prompt": "word " * 40, "response": "text " * 8}) + "\n" for _ in range(1))
    rows += "".join(json.dumps({"prompt": f"{n} " + "word " * 40, "response": "text " * 8}) + "\n" for n in range(9))
    (tmp_path / "pairs.jsonl").write_text(rows)
    near = validate(small(coverage={"source": str(tmp_path / "pairs.jsonl"), "test_ratio": 0.2}), "my.yaml")
    far = validate(small(coverage={"source": "somebody/somewhere"}), "my.yaml")

    found, assumed = (read_data(config, tmp_path)["chat"] for config in (near, far))

    assert (len(found.train), len(found.test), found.assumed) == (8, 2, False)
    assert found.response_tokens == pytest.approx(10, abs=1)
    assert (len(assumed.train), len(assumed.test), assumed.assumed) == (330, 20, True)
    assert assumed.response_tokens == 150


def test_the_text_says_what_goes_where_and_what_is_assumed(tmp_path: Path) -> None:
    config = validate(small(services=priced(base_url="simulated"), budget_usd=1.0), "my.yaml")
    data = read_data(config, tmp_path)
    sizes = call_sizes(config, PROMPTS, data, {})
    found = estimate(config, data, sizes, {})

    told = text(found, config, sent(config), notes(config, found, data, sizes, {}))

    assert "simulated, stays on this machine" in told
    assert "test split: prompts with system and earlier turns, responses (as references)" in told
    assert "SIMULATED" in told
    assert "Assumed data of chat: 330 train and 20 test rows" in told
    assert "budget_usd is 1.00" in told
    assert added(found[0].lines).usage.dollars == 0 < added(found[0].lines).usage.simulated_dollars


# Forbidden services.


def tasks(**task: object) -> dict[str, object]:
    return {
        "chat": {"generators": ["gpt"], "volumes": [0, 1000]},
        "secret": {"generators": ["gpt"], "volumes": [0], **task},
    }


def test_a_forbidden_judge_is_left_out_for_its_task_only() -> None:
    config = validate(small(judges=["gpt", "claude"], tasks=tasks(forbidden_services=["claude"])), "my.yaml")

    assert config.judges_of("chat") == ["gpt", "claude"]
    assert config.judges_of("secret") == ["gpt"]
    assert {each.task for each in sent(config) if each.service == "claude"} == {"chat"}


def test_a_forbidden_baseline_is_left_out() -> None:
    values = small(baselines={"services": ["gpt", "claude"]}, tasks=tasks(forbidden_services=["claude"]))

    assert validate(values, "my.yaml").baseline_services("secret") == ["gpt"]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"forbidden_services": ["gpt"]}, r"tasks.secret.forbidden_services: forbids every judge \(gpt\)"),
        ({"forbidden_services": ["nobody"]}, r"tasks.secret.forbidden_services: 'nobody' is not one of the services"),
        ({"generators": ["claude"], "forbidden_services": ["claude"]}, r"'claude' is one of the task's generators"),
        ({"service": "claude", "forbidden_services": ["claude"]}, r"'claude' is the service to be matched"),
    ],
)
def test_what_cannot_be_forbidden_is_an_error(task: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        validate(small(tasks=tasks(**task)), "my.yaml")


# One step, for the plan.


def test_the_steps_of_a_plan_come_to_what_the_estimate_of_the_whole_says(tmp_path: Path) -> None:
    config = validate(small(services=priced(samples_per_call=3), tasks=tasks()), "my.yaml")
    estimate_of = step_estimate(config, PROMPTS, tmp_path)
    upper = works(config, tmp_path)[1]
    whole = {line.stage: line for line in upper.lines if (line.task, line.who) == ("chat", "gpt")}

    chunks = [
        estimate_of(AskedStep("generator", "chat", "gpt", chunk)).line for chunk in range(whole["synthesis"].jobs)
    ]
    grades = estimate_of(AskedStep("judge", "chat", "gpt")).line
    own = estimate_of(AskedStep("baseline", "chat", "gpt")).line

    assert added(chunks).usage.calls == whole["synthesis"].calls
    assert added(chunks).usage.dollars == pytest.approx(whole["synthesis"].dollars, rel=1e-4)
    assert added([grades] * whole["judging"].jobs).usage.calls == whole["judging"].calls
    assert added([grades] * whole["judging"].jobs).usage.dollars == pytest.approx(whole["judging"].dollars, rel=1e-4)
    assert own == whole["service's responses"]


def test_what_is_in_the_journal_is_not_paid_for_again(tmp_path: Path) -> None:
    config = validate(small(services=priced(), tasks=tasks()), "my.yaml")
    step = step_estimate(config, PROMPTS, tmp_path)(AskedStep("baseline", "secret", "gpt"))
    assert step.line.dollars

    assert step.left(0) == step.line
    assert step.left(step.answers // 2).dollars == pytest.approx(step.line.dollars / 2)
    assert step.left(step.answers + 5).dollars == 0


def test_the_answers_of_a_journal_are_counted_by_its_beginning(tmp_path: Path) -> None:
    short, long = tmp_path / "short.jsonl", tmp_path / "long.jsonl"
    short.write_text("{}\n" * 3 + '{"torn')
    long.write_text(("x" * 999 + "\n") * (20 * BYTES_LOOKED_AT // 1000))

    assert answers_held(short) == 3
    assert answers_held(long) == pytest.approx(20 * BYTES_LOOKED_AT // 1000, rel=0.01)
    assert answers_held(tmp_path / "none.jsonl") == 0


def test_the_newest_steps_tell_the_size_of_a_call(tmp_path: Path) -> None:
    counted = {field.name: 0 for field in COSTS if not field.nullable}
    words = {"task": "cats", "role": "judge", "services": "gpt", "providers": "openai", "service_models": "gpt-4o"}
    for volume, tokens in ((1000, 400), (2000, 100), (4000, 200)):
        row = counted | words | {"simulated": False, "dollars": 0.0}
        path = tmp_path / f"costs/judging/runs/cats/gpt/gemma/volume-{volume}/gpt.parquet"
        write_rows(path, [row | {"calls": 1, "answers": 1, "prompt_tokens": tokens}], COSTS)
        os.utime(path, (tokens, tokens))

    assert read_sizes(tmp_path)["cats", "gpt", "judge"].prompt == pytest.approx(700 / 3)
    assert read_sizes(tmp_path, most=2)["cats", "gpt", "judge"].prompt == 300


# The pilot.


@pytest.fixture
def simulated(tmp_path: Path) -> Config:
    service = {
        "provider": "openai",
        "base_url": "simulated",
        "samples_per_call": 4,
        "price": PRICE.model_dump(),
        "simulation": {"log": str(tmp_path / "served.jsonl")},
    }
    return validate(
        small(
            services={"writer": {**service, "model": "writer"}, "grader": {**service, "model": "grader"}},
            tasks={"rivers": {"generators": ["writer"], "volumes": [0, 100]}},
            judges=["grader"],
            curation={"rouge_threshold": 1.0},
            results=str(tmp_path / "results"),
            state=str(tmp_path / "state"),
        ),
        "my.yaml",
    )


def test_a_pilot_asks_for_pairs_and_grades_once_and_measures_them(simulated: Config, tmp_path: Path) -> None:
    train, test = {"rivers": no_robots_rows(range(20))}, {"rivers": no_robots_rows(range(20, 26))}
    journals = tmp_path / "state" / "journal"

    found = pilot(simulated, PROMPTS, train, test, journals, None)
    again = pilot(simulated, PROMPTS, train, test, journals, None)

    assert again.costs == found.costs
    served = count_served(tmp_path / "served.jsonl")
    assert served.repeated == 0
    rows = {row["role"]: row for row in found.costs}
    assert (rows["generator"]["calls"], rows["generator"]["answers"]) == (5, 5)
    # Two responses by ten grades, four samples to a call.
    assert (rows["judge"]["calls"], rows["judge"]["answers"]) == (6, 20)
    assert (rows["baseline"]["calls"], rows["baseline"]["answers"]) == (2, 8)
    assert served.answered == 5 + 6 + 2
    assert all(row["simulated"] and row["dollars"] > 0 and not row["unpriced"] for row in found.costs)
    assert {sample.role for sample in found.samples} == {"generator", "judge"}
    assert 0 < found.yields[0]["share"] <= 1
    # They stand where the workflow's own steps will look for them.
    for place in (
        "synthesis/rivers/writer/chunk-0",
        "baselines/rivers/writer",
        "judging/baselines/rivers/writer/grader",
    ):
        assert list(read_records(journals / f"{place}.jsonl")), place

    write_rows(tmp_path / "results" / "pilot" / "costs.parquet", found.costs, COSTS)
    size = read_measured(simulated, tmp_path / "results").sizes["rivers", "grader", "judge"]
    assert size.measured
    assert size.prompt == pytest.approx(rows["judge"]["prompt_tokens"] / 6)


def test_a_pilot_keeps_the_budget(simulated: Config, tmp_path: Path) -> None:
    journals = tmp_path / "state" / "journal"
    budget = BudgetSettings(dollars=0.1, folder=tmp_path / "state" / "ledger", journals=journals)

    with pytest.raises(InputError, match=r"service writer .* budget_usd is reached"):
        pilot(
            simulated,
            PROMPTS,
            {"rivers": no_robots_rows(range(20))},
            {"rivers": no_robots_rows(range(3))},
            journals,
            budget,
        )

    served = count_served(tmp_path / "served.jsonl")
    assert 0 < served.answered < 5
