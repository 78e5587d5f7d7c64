"""The section `services`: defaults, ranges and messages; and where the keys come from."""

import json
import subprocess
import sys

import pytest

from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.errors import InputError
from llamaduo.program import read_settings
from llamaduo.service.keys import find_key, missing_key


def read(**settings: object) -> ServiceSettings:
    return read_settings(json.dumps({"provider": "openai", "model": "m"} | settings), ServiceSettings, "services.gpt")


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
        ({"provider": "claude"}, r"provider: unknown provider; the providers are openai, anthropic, gemini .*'claude'"),
        ({"provider": ["openai"]}, "provider: unknown provider"),
        ({"model": ""}, "model"),
        ({"colour": "red"}, "colour: unknown key; known are provider, model"),
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
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read(**settings)

    assert all(line.startswith("services.gpt: ") for line in str(raised.value).splitlines())


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
    for variable in ("OPENAI", "ANTHROPIC", "GEMINI", "GOOGLE", "SERVICE_LLM"):
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


def test_a_services_own_variable_is_the_only_one_looked_at(no_keys: pytest.MonkeyPatch) -> None:
    no_keys.setenv("OPENAI_API_KEY", "k")
    service = read(api_key_variable="TEAM_KEY")

    assert missing_key(service) == "no API key for openai: set the environment variable TEAM_KEY"

    no_keys.setenv("TEAM_KEY", "t")
    assert find_key(service) == "t"


def test_an_empty_variable_holds_no_key(no_keys: pytest.MonkeyPatch) -> None:
    no_keys.setenv("OPENAI_API_KEY", " ")

    assert missing_key(read()) is not None


def test_a_simulated_service_needs_no_key_and_is_told_none(no_keys: pytest.MonkeyPatch) -> None:
    no_keys.setenv("OPENAI_API_KEY", "secret")

    assert missing_key(read(base_url="simulated")) is None
    assert find_key(read(base_url="simulated")) != "secret"


def test_the_check_for_keys_loads_no_sdk() -> None:
    sdks = ("openai", "anthropic", "google.genai", "httpx2")
    check = f"import sys, llamaduo.service.keys; print([name for name in {sdks} if name in sys.modules])"
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
