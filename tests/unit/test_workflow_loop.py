"""The loop, by what is known of decisions and yields: plain values in, paths out."""

from pathlib import Path
from typing import Any

import pytest
from workflow_config import a_config

from llamaduo.cli.errors import InputError
from llamaduo.synthesis.chunks import first_chunks
from llamaduo.workflow.layout import Results, about, batches_place, judging_step, synthesis_step
from llamaduo.workflow.loop import Loop

RESULTS = Results(Path("results"))
RUN = ("animals", "writer", "tiny")


class NotYet(Exception):
    """A checkpoint that has not finished."""


class Made:
    """Stands for what checkpoints have made: reads the artifacts that are there, and notes what was asked for."""

    def __init__(self, artifacts: dict[Path, Any]) -> None:
        self.artifacts, self.asked = artifacts, list[dict[str, str]]()

    def __call__(self, path: Path, **names: str) -> Any:
        self.asked.append(names)
        if path not in self.artifacts:
            raise NotYet(path)
        return self.artifacts[path]


def loop(**sections: Any) -> Loop:
    return Loop(a_config(**sections), RESULTS)


def decision(volume: int) -> Path:
    return RESULTS.cycle(*RUN, volume) / "decision.json"


def test_a_run_is_followed_up_to_the_first_decision_that_ends_it() -> None:
    made = Made({decision(0): {"verdict": "expand"}, decision(10): {"verdict": "converged"}})

    assert loop().decisions_of_run(*RUN, read=made) == [decision(0), decision(10)]
    assert loop().converged_cycle(*RUN, read=made) == RESULTS.cycle(*RUN, 10)
    assert loop().deployment_of_run(*RUN, read=made) == [RESULTS.deployment(*RUN) / "verification.json"]
    assert made.asked[0] == {"generator": "coverage", "task": "animals", "model": "tiny", "volume": "0"}


def test_volume_0_is_shared_by_all_generators() -> None:
    assert decision(0) == Path("results/runs/animals/coverage/tiny/volume-0/decision.json")
    assert decision(10) == Path("results/runs/animals/writer/tiny/volume-10/decision.json")


def test_an_exhausted_run_deploys_nothing() -> None:
    made = Made({decision(0): {"verdict": "exhausted"}})

    assert loop().deployment_of_run(*RUN, read=made) == []


def test_a_run_waits_for_its_own_next_decision_only() -> None:
    made = Made({decision(0): {"verdict": "expand"}})

    with pytest.raises(NotYet):
        loop().decisions_of_run(*RUN, read=made)
    assert [names["volume"] for names in made.asked] == ["0", "10"]


def test_a_pool_grows_until_it_holds_the_volume() -> None:
    small = loop(synthesis={"pairs_per_call": 1, "chunk_calls": 2})
    first = first_chunks(10, small.config.synthesis)
    made = Made({RESULTS.funnel("animals", "writer", first): {"accepted": 5}})

    with pytest.raises(NotYet) as asked:
        small.last_pool("animals", "writer", "10", read=made)
    second = Path(str(asked.value))
    made.artifacts[second] = {"accepted": 10}

    assert second != RESULTS.funnel("animals", "writer", first)
    assert small.last_pool("animals", "writer", "10", read=made) == second


def test_a_volume_out_of_reach_is_decided_on_by_its_pool_alone() -> None:
    pool, metrics = RESULTS.measured_pool("animals", "writer", 10), RESULTS.cycle(*RUN, 10) / "metrics.parquet"

    def evidence(measured: Any) -> dict[str, Path]:
        return loop().evidence(*RUN, "10", read=lambda path, **names: measured)

    assert evidence(None) == evidence({"reached": True}) == {"pool": pool, "metrics": metrics}
    assert evidence({"reached": False}) == {"pool": pool}


def test_training_starts_from_the_adapter_before_where_that_is_asked_for() -> None:
    assert loop().previous_adapter(*RUN, "20") == []
    warm = loop(training={"warm_start": True})
    assert warm.previous_adapter(*RUN, "0") == []
    assert warm.previous_adapter(*RUN, "20") == [RESULTS.cycle(*RUN, 10) / "adapter"]


def test_a_volume_that_the_task_does_not_have_is_an_error() -> None:
    assert (loop().cycle_number("animals", "20"), loop().is_last_cycle("animals", "20")) == (2, True)
    with pytest.raises(InputError, match=r"tasks\.animals\.volumes has no 15"):
        loop().cycle_number("animals", "15")


def test_a_sweep_asks_for_every_volume_of_every_run_once() -> None:
    decisions = loop().decisions_of_sweep()

    assert len(decisions) == len(set(decisions)) == 2 * 3
    assert len(loop().verdicts()) == 2


def test_the_name_of_an_asking_step_says_what_its_costs_are_about() -> None:
    subject = "runs/animals/writer/tiny/volume-10"

    run = {"task": "animals", "generator": "writer", "model": "tiny", "volume": 10}
    assert about(judging_step(subject, "grader")) == run
    assert about(synthesis_step("animals", "writer", 3)) == {"task": "animals", "generator": "writer", "chunk": 3}
    assert about("baselines/animals/writer") == {"task": "animals"}
    assert batches_place(synthesis_step("animals", "writer", 3)) == "synthesis/animals/chunk-3/writer"
    with pytest.raises(ValueError, match="not the name of a step"):
        about("grades")
