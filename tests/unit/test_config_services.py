"""The section `services`: defaults, ranges and messages; and where the keys come from."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from llamaduo.cli.errors import InputError
from llamaduo.cli.program import describe
from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.service.providers.keys import find_key, missing_key


def read(**settings: object) -> ServiceSettings:
    try:
        return ServiceSettings.model_validate({"provider": "openai", "model": "m"} | settings)
    except ValidationError as error:
        raise InputError(describe(error, "services.gpt", ServiceSettings)) from error


def test_a_provider_and_a_model_are_enough() -> None:
    service = read()

    assert service.base_url is None
    assert not service.is_simulated
    assert service.generation.baseline.temperature == 0.8  # as the local LLMs'


def test_one_setting_of_a_role_leaves_its_others_as_they_are() -> None:
    service = read(generation={"judge": {"temperature": 0}})

    assert service.generation.judge.temperature == 0
    assert service.generation.judge.max_tokens == 1024
    assert service.generation.generator.temperature == 1.0
    assert isinstance(service.generation.judge, Generation)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"provider": "claude"},
            r"provider: unknown provider; the providers are openai, anthropic, anthropic-.*'claude'",
        ),
        ({"provider": ["openai"]}, "provider: unknown provider"),
        ({"model": ""}, "model"),
        ({"colour": "red"}, "colour: unknown key; known are provider, "),
        ({"base_url": "localhost:8000"}, r"base_url: not an address; expected http://.*'localhost:8000'"),
        ({"simulated": True}, "simulated needs a base_url"),
        ({"requests_per_minute": 0}, "requests_per_minute: .*greater than 0"),
        ({"concurrency": 0}, "concurrency"),
        ({"retries": -1}, "retries"),
        ({"attempts": 0}, "attempts"),
        ({"timeout_seconds": "soon"}, "timeout_seconds: .*'soon'"),
        ({"generation": {"judge": {"temperature": 2.5}}}, r"generation\.judge\.temperature"),
        ({"generation": {"writer": {}}}, r"generation\.writer"),
        (
            {"provider": "anthropic", "generation": {"judge": {"temperature": 1.5}}},
            r"generation\.judge\.temperature is 1\.5; anthropic takes 0 to 1",
        ),
        ({"simulation": {"faults": {"dropped": 1.5}}}, r"simulation\.faults\.dropped"),
        ({"simulation": {"faults": {"dropped": 0.7, "refusal": 0.7}}}, "more than 1"),
        ({"samples_per_call": 129}, "samples_per_call is 129; openai gives at most 128"),
        ({"provider": "gemini", "samples_per_call": 9}, "samples_per_call is 9; gemini gives at most 8"),
        ({"provider": "anthropic", "samples_per_call": 2}, "anthropic gives at most 1 in one call: leave it out"),
        ({"provider": "gemini-vertex", "mode": "batch"}, 'mode is "batch", which gemini-vertex has not.*"online"'),
        ({"mode": "batch", "base_url": "https://x.openai.azure.com/openai/v1"}, "which Azure has only for"),
        ({"provider": "gemini", "sdk": "google-generativeai", "mode": "batch"}, "google-generativeai does not know"),
        ({"sdk": "google-genai"}, "sdk is a setting of gemini; openai has no use for it"),
        ({"provider": "gemini", "azure_api_version": "1"}, "azure_api_version is a setting of openai"),
        ({"azure_api_version": "2024-10-21"}, "azure_api_version needs a base_url"),
        (
            {"provider": "anthropic-bedrock", "project": "p"},
            "project is a setting of anthropic-vertex and gemini-vertex",
        ),
        ({"location": "eu"}, "location is a setting of anthropic-bedrock and anthropic-vertex and gemini-vertex"),
        ({"provider": "anthropic", "model": "claude-3-opus-20240229"}, "set structured_output to false"),
        ({"provider": "anthropic", "model": "claude-sonnet-4-20250514"}, "set structured_output to false"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read(**settings)

    assert all(line.startswith("services.gpt: ") for line in str(raised.value).splitlines())


NO_SAMPLING = {"generator": {"temperature": None}, "judge": {"temperature": None}, "baseline": {"temperature": None}}
BOTH = {"judge": {"temperature": 0.5, "top_p": 0.9}}


@pytest.mark.parametrize(
    ("provider", "models"),
    [
        ("openai", ["o3", "o4-mini-2025-04-16", "gpt-5", "gpt-5-mini", "gpt-5-2025-08-07"]),
        ("anthropic", ["claude-opus-4-7", "claude-sonnet-5", "claude-haiku-5-5"]),
        ("anthropic-vertex", ["claude-opus-4-8@20260101"]),
        ("anthropic-bedrock", ["eu.anthropic.claude-opus-4-7-v1:0"]),
    ],
)
def test_models_without_sampling_settings_want_them_null(provider: str, models: list[str]) -> None:
    for model in models:
        with pytest.raises(InputError, match=r"takes no sampling settings: set .*generation\.judge\.temp.* to null"):
            read(provider=provider, model=model)

        assert read(provider=provider, model=model, generation=NO_SAMPLING).model == model


@pytest.mark.parametrize("model", ["claude-opus-4-1-20250805", "claude-sonnet-4-5-20250929", "claude-haiku-4-5"])
def test_models_of_one_sampler_refuse_two(model: str) -> None:
    with pytest.raises(InputError, match=r"takes temperature or top_p, not both: set generation\.judge\."):
        read(provider="anthropic", model=model, generation=BOTH)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o"),
        ("openai", "gpt-5-chat-latest"),
        ("openai", "gpt-5.1"),
        ("openai", "my-org/o3-like"),
        ("anthropic", "claude-sonnet-4-20250514"),
        ("anthropic", "claude-opus-4-20250514"),
        ("gemini", "gemini-2.5-pro"),
    ],
)
def test_other_models_take_both(provider: str, model: str) -> None:
    assert read(provider=provider, model=model, generation=BOTH, structured_output=False).model == model


@pytest.mark.parametrize(
    ("settings", "simulated"),
    [
        ({"base_url": "simulated"}, True),
        ({"base_url": "http://127.0.0.1:8000/", "simulated": True}, True),
        ({"base_url": "https://llm.example.org/v1"}, False),
    ],
)
def test_what_counts_as_simulated(settings: dict, simulated: bool) -> None:
    assert read(**settings).is_simulated is simulated


def test_an_address_loses_its_last_slash() -> None:
    assert read(base_url="http://127.0.0.1:8000/").base_url == "http://127.0.0.1:8000"


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for variable in ("OPENAI", "ANTHROPIC", "GEMINI", "GOOGLE", "SERVICE_LLM", "AZURE_OPENAI"):
        monkeypatch.delenv(f"{variable}_API_KEY", raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("provider", "variables"),
    [
        ("openai", ["OPENAI_API_KEY", "SERVICE_LLM_API_KEY"]),
        ("anthropic", ["ANTHROPIC_API_KEY", "SERVICE_LLM_API_KEY"]),
        ("gemini", ["GEMINI_API_KEY", "GOOGLE_API_KEY", "SERVICE_LLM_API_KEY"]),
    ],
)
def test_keys_come_from_the_vendors_variables_or_the_common_one(
    provider: str, variables: list[str], no_keys: pytest.MonkeyPatch
) -> None:
    service = read(provider=provider)
    assert missing_key(service) == f"no API key for {provider}: set the environment variable {' or '.join(variables)}"

    for variable in reversed(variables):
        no_keys.setenv(variable, f" key of {variable}\n")
        assert find_key(service) == f"key of {variable}"  # the earlier ones go before the later
        assert missing_key(service) is None


def test_azure_has_a_variable_of_its_own(no_keys: pytest.MonkeyPatch) -> None:
    azure = read(base_url="https://x.openai.azure.com/openai/v1")
    no_keys.setenv("OPENAI_API_KEY", "k")
    no_keys.setenv("AZURE_OPENAI_API_KEY", "azure")

    assert find_key(azure) == "azure"
    assert find_key(read()) == "k"


def test_a_services_own_variable_is_the_only_one_looked_at(no_keys: pytest.MonkeyPatch) -> None:
    no_keys.setenv("OPENAI_API_KEY", "k")
    service = read(api_key_variable="TEAM_KEY")

    assert missing_key(service) == "no API key for openai: set the environment variable TEAM_KEY"

    no_keys.setenv("TEAM_KEY", "t")
    assert find_key(service) == "t"


@pytest.mark.parametrize("key", ["sk-\u201cquoted\u201d", "sk-two\nlines"])
def test_a_key_that_no_header_can_hold_is_said_without_showing_it(key: str, no_keys: pytest.MonkeyPatch) -> None:
    no_keys.setenv("OPENAI_API_KEY", key)

    assert str(missing_key(read())).startswith("the API key in OPENAI_API_KEY or SERVICE_LLM_API_KEY holds characters")
    assert key not in str(missing_key(read()))


def test_only_ones_own_server_needs_no_key(no_keys: pytest.MonkeyPatch) -> None:
    assert missing_key(read(base_url="http://gpu-node:8000/v1")) is None
    assert missing_key(read(base_url="http://gpu-node:8000/v1", api_key_variable="TEAM_KEY")) is not None
    assert missing_key(read(base_url="https://api.mistral.ai/v1")) is not None
    assert missing_key(read(base_url="http://gpu-node:8000", provider="anthropic")) is not None


def test_an_empty_variable_holds_no_key(no_keys: pytest.MonkeyPatch) -> None:
    no_keys.setenv("OPENAI_API_KEY", " ")

    assert missing_key(read()) is not None


def test_a_simulated_service_needs_no_key_and_is_told_none(no_keys: pytest.MonkeyPatch) -> None:
    no_keys.setenv("OPENAI_API_KEY", "secret")

    assert missing_key(read(base_url="simulated")) is None
    assert find_key(read(base_url="simulated")) != "secret"


def test_the_check_for_keys_loads_no_sdk() -> None:
    sdks = ("openai", "anthropic", "google.genai", "httpx2")
    check = f"import sys, llamaduo.service.providers.keys; print([name for name in {sdks} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", check], env={"PYTHONPATH": "scripts"}, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "address",
    [
        "https://anna:hunter2@llm.example.org/v1",
        "https://hunter2@llm.example.org/v1",
        "https://llm.example.org/v1?key=hunter2",
        "https://llm.example.org/v1/?api-key=hunter2&version=1",
        "llm.example.org/v1?key=hunter2",
        "https://anna:hunter2@llm example.org",
    ],
)
def test_an_address_with_credentials_is_refused_without_showing_them(address: str) -> None:
    with pytest.raises(InputError, match="base_url: ") as raised:
        read(base_url=address)

    assert "hunter2" not in str(raised.value)


def test_credentials_in_an_address_are_named_as_such() -> None:
    with pytest.raises(InputError, match=r"base_url: holds a user name, a password or a query.*api_key_variable"):
        read(base_url="https://anna:hunter2@llm.example.org/v1")

    assert read(base_url="https://llm.example.org/@team/v1").base_url == "https://llm.example.org/@team/v1"
