"""Values that a config takes for what they are not: fractions, infinities, braces, API keys."""

from typing import Any

import pytest
from test_config_refusals import refusal, small

from llamaduo.cli.secrets import looks_secret
from llamaduo.config.load import validate

SERVICE = {"provider": "openai", "model": "gpt-4.1"}
# Every key in percent: how to set it, whether 1 is a number of percent that is meant, and whether 0 is allowed.
PERCENT: dict[str, tuple[Any, bool, bool]] = {
    "decision.epsilon.mean": (lambda value: {"decision": {"epsilon": {"mean": value}}}, False, True),
    "decision.epsilon.coverage": (lambda value: {"decision": {"epsilon": {"coverage": value}}}, False, True),
    "decision.epsilon.mean.share.share_of_service": (
        lambda value: {"decision": {"epsilon": {"mean": {"share_of_service": value}}}},
        False,
        False,
    ),
    "decision.per_metric.precision.mean": (
        lambda value: {"decision": {"per_metric": {"precision": {"mean": value}}}},
        False,
        True,
    ),
    "decision.zeta": (lambda value: {"decision": {"zeta": value}, "metrics": {"zeta": [70, 0]}}, False, True),
    "metrics.zeta.1": (lambda value: {"metrics": {"zeta": [70, value]}}, False, True),
    "metrics.confidence": (lambda value: {"metrics": {"confidence": value}}, False, False),
    "curation.decontamination.overlap": (
        lambda value: {"curation": {"decontamination": {"overlap": value}}},
        False,
        False,
    ),
    "curation.other_scripts": (lambda value: {"curation": {"other_scripts": value}}, False, True),
    "curation.rules.minimum_script_share": (
        lambda value: {"curation": {"rules": {"minimum_script_share": value}}},
        False,
        True,
    ),
    "judging.maximum_ungraded": (lambda value: {"judging": {"maximum_ungraded": value}}, True, True),
}


@pytest.mark.parametrize("key", PERCENT)
@pytest.mark.parametrize(("fraction", "percent"), [(0.9, 90), (0.05, 5), (0.07, 7), (0.7, 70)])
def test_a_fraction_where_percent_are_meant_is_refused(key: str, fraction: float, percent: int) -> None:
    sections, _, _ = PERCENT[key]
    message = refusal(**sections(fraction)).splitlines()[0]
    assert message.startswith(f"my.yaml: {key}")
    assert f": percent are meant: {percent}, not {fraction}" in message


@pytest.mark.parametrize("key", PERCENT)
def test_1_is_refused_as_the_fraction_of_all_where_1_percent_makes_no_sense(key: str) -> None:
    sections, is_percent, _ = PERCENT[key]
    if is_percent:
        validate(small(**sections(1)), "my.yaml")
    else:
        assert "percent are meant: 100, not 1" in refusal(**sections(1))


@pytest.mark.parametrize("key", [key for key, (_, _, zero) in PERCENT.items() if zero])
def test_0_is_neither_a_fraction_nor_refused(key: str) -> None:
    sections, _, _ = PERCENT[key]
    validate(small(**sections(0)), "my.yaml")


def test_shares_that_are_fractions_stay_fractions() -> None:
    validate(small(training={"validation_share": 0.05}, synthesis={"minimum_yield": 1}), "my.yaml")


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize(
    ("sections", "key"),
    [
        (lambda number: {"budget_usd": number}, "budget_usd"),
        (lambda number: {"seed": number}, "seed"),
        (lambda number: {"training": {"epochs": number}}, "training.epochs"),
        (lambda number: {"training": {"weight_decay": number}}, "training.weight_decay"),
        (lambda number: {"estimate": {"decoding_rate": number}}, "estimate.decoding_rate"),
        (lambda number: {"estimate": {"billion_parameters": {"gemma": number}}}, "billion_parameters.gemma"),
        (lambda number: {"resources": {"margin": number}}, "resources.margin"),
        (lambda number: {"judging": {"maximum_ungraded": number}}, "judging.maximum_ungraded"),
        (lambda number: {"services": {"gpt-4.1": {**SERVICE, "timeout_seconds": number}}}, "timeout_seconds"),
        (lambda number: {"overrides": [{"training": {"epochs": number}}]}, "overrides.0.training.epochs"),
    ],
)
def test_what_is_no_number_is_refused(sections: Any, key: str, number: float) -> None:
    message = refusal(**sections(number))
    assert key in message
    assert "finite number" in message


@pytest.mark.parametrize(
    "sections",
    [
        {"coverage": {"source": "pairs/{task}.jsonl"}},
        {"coverage": {"source": "pairs", "train_split": "{split}"}},
        {"models": {"gemma": {"path": "models/{model}"}}},
        {"models": {"gemma": {"path": "a/b", "kind": "adapter", "base": "{base}"}}},
        {"models": {"gemma": {"path": "a/b", "chat_template": "{x}.jinja"}}},
        {"prompts": "{x}.toml"},
        {"prices": "{x}.yaml"},
        {"services": {"gpt-4.1": {**SERVICE, "simulation": {"log": "{x}.jsonl"}}}},
    ],
)
def test_a_path_with_braces_is_refused(sections: dict[str, Any]) -> None:
    assert "a brace cannot be part of a path or a name here" in refusal(**sections)


@pytest.mark.parametrize("key", ["results", "state"])
def test_braces_in_a_folder_of_the_workflow_are_refused(key: str) -> None:
    assert f"my.yaml: {key}: a folder of letters" in refusal(**{key: "{word}"})


def test_braces_in_texts_pass() -> None:
    task = {"generators": ["gpt-4.1"], "volumes": [0], "topic": "the {topic}", "categories": ["{x}"]}
    config = validate(small(tasks={"chat": task}, curation={"rules": {"blocklist": ["{word}"]}}), "my.yaml")
    assert config.topic_of("chat") == "the {topic}"


# Keys of services. None of these was ever one.
KEYS = {
    "openai": "sk-proj-Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z",
    "short": "sk-test-key",
    "anthropic": "sk-ant-api03-Ab3dEf6hIj9kLm2nOp5q_Rs8-tUv1wXy4z",
    "gemini": "AIzaSyAb3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z0",
    "hugging face": "hf_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh",
    "aws": "AKIAABCDEFGHIJKLMNOP",
    "google token": "ya29.a0AfB_byAb3dEf6hIj9kLm2n",
    "json web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
    "bearer": "Bearer Ab3dEf6hIj9kLm2n",
}


@pytest.mark.parametrize("key", KEYS.values(), ids=list(KEYS))
@pytest.mark.parametrize(
    ("sections", "place"),
    [
        (lambda key: {"api_key": key}, "api_key"),
        (lambda key: {"services": {"gpt-4.1": {**SERVICE, "api_key": key}}}, "services.gpt-4.1.api_key"),
        (lambda key: {"services": {"gpt-4.1": {**SERVICE, "model": key}}}, "services.gpt-4.1.model"),
        (lambda key: {"services": {"gpt-4.1": {**SERVICE, "api_key_variable": key}}}, "api_key_variable"),
        (lambda key: {"services": {"gpt-4.1": {**SERVICE, "timeout_seconds": key}}}, "timeout_seconds"),
        (lambda key: {"judges": ["gpt-4.1", key]}, "judges.1"),
        (lambda key: {"services": {key: SERVICE}}, "services"),
        (lambda key: {"overrides": [{"training": {"key": key}}]}, "overrides.0.training.key"),
    ],
)
def test_a_key_in_the_config_is_refused_and_not_shown(sections: Any, place: str, key: str) -> None:
    message = refusal(**sections(key))
    assert f"{place}: " in message
    assert "environment variable" in message
    assert key not in message


@pytest.mark.parametrize("name", ["api_key", "apikey", "OPENAI_API_KEY", "token", "hf_token", "password", "secret"])
def test_what_stands_under_the_name_of_a_secret_is_not_shown_whatever_it_looks_like(name: str) -> None:
    message = refusal(services={"gpt-4.1": {**SERVICE, name: "hunter2"}})
    assert f"services.gpt-4.1.{name}: a key or password does not belong here" in message
    assert "hunter2" not in message


def test_the_value_of_an_unknown_key_is_not_shown() -> None:
    message = refusal(services={"gpt-4.1": {**SERVICE, "authorisation": "hunter2"}})
    assert "services.gpt-4.1.authorisation: unknown key" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("variable", ["Ab3dEf6hIj9kLm2nOp5qRs8t", "my key", "1KEY", "KEY=value"])
def test_a_variable_that_is_no_name_of_one_is_refused_and_not_shown(variable: str) -> None:
    message = refusal(services={"gpt-4.1": {**SERVICE, "api_key_variable": variable}})
    assert "api_key_variable: not the name of an environment variable" in message
    assert variable not in message


def test_names_of_variables_and_the_key_of_a_simulated_service_are_no_secrets() -> None:
    service = {**SERVICE, "base_url": "simulated", "api_key_variable": "MY_API_KEY_2", "simulation": {"key": "fake"}}
    validate(small(services={"gpt-4.1": service}), "my.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "sk-SK/summaries",
        "data/sk-summarization-2024",
        "./sk-pairs",
        "task-20241101-summaries",
        "google/gemma-2b",
        "hf-internal-testing/tiny-random-LlamaForCausalLM",
        "xai-org/grok-1",
        "a topic that mentions sk- and AIza",
        "c5ebcd40d208330abc697524c919956e692655cf",
        "us.anthropic.claude-sonnet-4-20250514-v1:0",
    ],
)
def test_paths_names_and_revisions_do_not_look_like_keys(text: str) -> None:
    assert not looks_secret(text)
