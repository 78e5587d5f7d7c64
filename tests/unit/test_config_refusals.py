"""Configs that can be read but cannot work are refused, and wrong keys are told with the right ones."""

from typing import Any

import pytest

from llamaduo.cli.errors import InputError
from llamaduo.config.load import validate

NOTHING: dict[str, Any] = {"mean": None, "coverage": None}


def small(**sections: Any) -> dict[str, Any]:
    """The least that a config needs, with some sections more."""
    return {
        "coverage": {"source": "pairs.jsonl"},
        "tasks": {"chat": {"generators": ["gpt-4.1"], "volumes": [0, 1000]}},
        "services": {"gpt-4.1": {"provider": "openai", "model": "gpt-4.1"}},
        "models": {"gemma": {"path": "google/gemma-2b"}},
        "judges": ["gpt-4.1"],
        **sections,
    }


def refusal(**sections: Any) -> str:
    with pytest.raises(InputError) as caught:
        validate(small(**sections), "my.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    "decision",
    [
        {"per_metric": {"similarity": NOTHING, "precision": NOTHING}},
        {"epsilon": NOTHING, "per_metric": {"similarity": NOTHING, "precision": NOTHING}},
    ],
)
def test_a_decision_without_any_threshold_is_refused(decision: dict[str, Any]) -> None:
    assert "at least one" in refusal(decision=decision)


def test_one_metric_that_decides_is_enough() -> None:
    validate(small(decision={"per_metric": {"similarity": NOTHING}}), "my.yaml")
    validate(small(decision={"epsilon": NOTHING, "per_metric": {"similarity": {"mean": 80}}}), "my.yaml")
    alone = {"per_metric": {"similarity": NOTHING}}
    assert "similarity; at least one" in refusal(judging={"metrics": ["similarity"]}, decision=alone)


def test_a_judge_named_twice_is_refused() -> None:
    assert "my.yaml: judges: one is named twice: gpt-4.1, gpt-4.1" in refusal(judges=["gpt-4.1", "gpt-4.1"])


@pytest.mark.parametrize("other", ["gpt-4-1", "gpt_4_1", "gpt.4.1"])
def test_services_whose_resources_would_be_one_are_refused(other: str) -> None:
    service = {"provider": "openai", "model": "m"}
    assert f"services: 'gpt-4.1' and '{other}' differ only by" in refusal(services={"gpt-4.1": service, other: service})


def test_what_the_datasets_share_cannot_differ_by_model() -> None:
    message = refusal(overrides=[{}, {"training": {"include_train": False}}])
    assert "overrides.1.training: include_train is about the datasets" in message


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"judgez": []}, "my.yaml: judgez: unknown key; did you mean 'judges'?"),
        ({"judging": {"grade": 3}}, "judging.grade: unknown key; did you mean 'grades'?"),
        ({"training": {"lora": {"xyz": 3}}}, "training.lora.xyz: unknown key; known are r, alpha, dropout"),
        ({"tasks": {"chat": {"generator": ["gpt-4.1"], "volumes": [0]}}}, "tasks.chat.generators: required key is"),
        ({"models": {"path": {"paths": "google/gemma-2b"}}}, "models.path.paths: unknown key; did you mean 'path'?"),
        ({"decision": {"epsilon": {"covrage": 3}}}, "epsilon.covrage: unknown key; did you mean 'coverage'?"),
        ({"decision": {"epsilon": {"mean": {"share": 3}}}}, "share: unknown key; known are share_of_service"),
        ({"overrides": [{}, {"trainig": {}}]}, "overrides.1.trainig: unknown key; did you mean 'training'?"),
        ({"overrides": [{"training": {"epoch": 3}}]}, "overrides.0.training.epoch: unknown key; did you mean 'epochs'"),
        ({"overrides": [{"training": {"lora": {"alfa": 3}}}]}, "training.lora.alfa: unknown key; did you mean 'alpha'"),
    ],
)
def test_a_wrong_key_is_told_with_the_right_one(sections: dict[str, Any], message: str) -> None:
    assert message in refusal(**sections)
