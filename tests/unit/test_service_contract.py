"""Every provider's real SDK against the simulated service, which checks paths, headers, bodies and schemas strictly."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from llamaduo.cli.errors import InputError, ServiceError
from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.config.simulation import Faults, Simulation
from llamaduo.models.messages import Message
from llamaduo.service.client import ask_all
from llamaduo.service.interface import Answer, Request
from llamaduo.service.providers.registry import open_provider
from llamaduo.simulated.log import read_log
from llamaduo.simulated.server import running

KEY = "key-0123456789-that-is-right"
SCHEMA = {
    "type": "object",
    "properties": {
        "similarity": {
            "type": "object",
            "properties": {"reason": {"type": "string"}, "score": {"type": "number", "description": "0 to 100"}},
            "required": ["reason", "score"],
            "additionalProperties": False,
        }
    },
    "required": ["similarity"],
    "additionalProperties": False,
}
TO_GRADE = """Grade it.
<instruction>
What is this?
</instruction>
<reference>
a grey owl in an old tree
</reference>
<response>
an owl in a tree
</response>
"""


@dataclass(frozen=True)
class Kind:
    """A provider as a user sets it up: its settings, where the address stands in base_url, the key's variable."""

    settings: dict[str, object]
    base_url: str
    variable: str
    path: str


KINDS = {
    "openai": Kind({"provider": "openai"}, "{}/v1", "OPENAI_API_KEY", "openai"),
    "azure, v1": Kind(
        {"provider": "openai", "api_key_variable": "AZURE_OPENAI_API_KEY"},
        *("{}/openai/v1", "AZURE_OPENAI_API_KEY", "azure"),
    ),
    "azure, api-version": Kind(
        {"provider": "openai", "azure_api_version": "2024-10-21"}, "{}", "AZURE_OPENAI_API_KEY", "azure"
    ),
    "anthropic": Kind({"provider": "anthropic"}, "{}", "ANTHROPIC_API_KEY", "anthropic"),
    "anthropic-vertex": Kind(
        {"provider": "anthropic-vertex", "project": "p-1", "location": "europe-west1"},
        *("{}/v1", "GCP_ACCESS_TOKEN", "anthropic-vertex"),
    ),
    "anthropic-bedrock": Kind(
        {"provider": "anthropic-bedrock", "location": "eu-central-1"},
        *("{}", "AWS_BEARER_TOKEN_BEDROCK", "anthropic-bedrock"),
    ),
    "anthropic-bedrock, signed": Kind(
        {"provider": "anthropic-bedrock", "location": "eu-central-1"}, "{}", "AWS_ACCESS_KEY_ID", "anthropic-bedrock"
    ),
    "gemini": Kind({"provider": "gemini"}, "{}", "GEMINI_API_KEY", "gemini"),
    "gemini, older SDK": Kind({"provider": "gemini", "sdk": "google-generativeai"}, "{}", "GEMINI_API_KEY", "gemini"),
    "gemini-vertex": Kind(
        {"provider": "gemini-vertex", "project": "p-1", "location": "europe-west1"},
        *("{}", "GCP_ACCESS_TOKEN", "gemini-vertex"),
    ),
}
ALL = list(KINDS)
ONE_EACH = ["openai", "azure, api-version", "anthropic", "anthropic-vertex", "anthropic-bedrock", *ALL[-3:]]
SEVERAL_SAMPLES = ["openai", "azure, api-version", "gemini", "gemini, older SDK", "gemini-vertex"]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contract") / "served.jsonl"


@pytest.fixture(scope="module")
def address(log: Path) -> Iterator[str]:
    with running(Simulation(key=KEY, models=["m-1"], log=str(log))) as address:
        yield address


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for kind in KINDS.values():
        monkeypatch.delenv(kind.variable, raising=False)
    for name in ("SERVICE_LLM_API_KEY", "GOOGLE_API_KEY", "GCP_PROJECT_ID", "GCP_LOCATION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    # Nor are those looked for that the machine may have.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "none"))


def service(kind: str, address: str, **settings: object) -> ServiceSettings:
    chosen = KINDS[kind]
    base_url = chosen.base_url.format(address)
    return ServiceSettings.model_validate({"model": "m-1", "base_url": base_url} | chosen.settings | settings)


def grade(replicate: int = 0) -> Request:
    turns = (Message(role="system", content="You grade."), Message(role="user", content=TO_GRADE))
    return Request(turns, SCHEMA, Generation(temperature=0.5, max_tokens=500), replicate)


def ask(settings: ServiceSettings, request: Request, samples: int = 1) -> list[Answer]:
    async def once() -> list[Answer]:
        opened = open_provider("s", settings, settings.base_url)
        try:
            return await opened.ask(request, {"x-llamaduo-replicate": f"{request.replicate}.0"}, samples)
        finally:
            await opened.close()

    return asyncio.run(once())


def ask_through_client(settings: ServiceSettings, journal: Path, requests: int = 1) -> None:
    ask_all("grader", settings, [grade(number) for number in range(requests)], lambda answer: answer, journal, "asking")


def set_key(kind: str, monkeypatch: pytest.MonkeyPatch, key: str = KEY) -> None:
    monkeypatch.setenv(KINDS[kind].variable, key)
    if kind == "anthropic-bedrock, signed":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


@pytest.mark.parametrize("kind", ALL)
def test_what_the_sdk_sends_is_what_the_vendor_documents(
    kind: str, address: str, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_key(kind, monkeypatch)

    (answer,) = ask(service(kind, address), grade())

    assert set(json.loads(answer.text)["similarity"]) == {"reason", "score"}
    assert answer.stop_reason == "stop"
    served = read_log(log)[-1]
    assert (served["protocol"], served["status"]) == (KINDS[kind].path, 200)
    assert (answer.prompt_tokens, answer.completion_tokens) == (served["prompt_tokens"], served["completion_tokens"])


@pytest.mark.parametrize("kind", SEVERAL_SAMPLES)
def test_the_samples_of_one_call_are_the_answers_of_single_calls_and_share_its_tokens(
    kind: str, address: str, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_key(kind, monkeypatch)
    settings = service(kind, address)

    several = ask(settings, grade(2), samples=3)
    single = [ask(settings, grade(replicate))[0] for replicate in (2, 3, 4)]

    assert [answer.text for answer in several] == [answer.text for answer in single]
    assert len({answer.text for answer in several}) > 1
    assert [answer.prompt_tokens for answer in several] == [single[0].prompt_tokens, 0, 0]
    assert sum(answer.completion_tokens for answer in several) == sum(answer.completion_tokens for answer in single)


@pytest.mark.parametrize("kind", ALL)
def test_a_simulated_service_takes_the_same_requests_without_any_key(kind: str, address: str) -> None:
    with running(Simulation()) as simulated:
        settings = service(kind, simulated, base_url=simulated, simulated=True, project=None, location=None)

        assert ask(settings, grade())[0].text


@pytest.mark.parametrize("kind", ONE_EACH)
@pytest.mark.parametrize(("fault", "stop_reasons"), [("refusal", {"refusal", "filtered"}), ("truncated", {"length"})])
def test_refused_and_truncated_answers_say_so(kind: str, fault: str, stop_reasons: set[str]) -> None:
    with running(Simulation(faults=Faults(**{fault: 1}))) as simulated:
        (answer,) = ask(service(kind, simulated, base_url=simulated, simulated=True), grade())

    assert answer.stop_reason in stop_reasons


@pytest.mark.parametrize("kind", ONE_EACH)
def test_a_wrong_key_says_which_variable_to_check(
    kind: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_key(kind, monkeypatch, "wrong-key-9876543210")

    with pytest.raises(InputError, match=rf"service grader .*not accepted.*check .*{KINDS[kind].variable}") as raised:
        ask_through_client(service(kind, address), tmp_path / "journal.jsonl")

    assert "\n" not in str(raised.value)
    assert "wrong-key-9876543210" not in str(raised.value)


@pytest.mark.parametrize("kind", ONE_EACH)
def test_an_unknown_model_is_named(kind: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_key(kind, monkeypatch)

    with pytest.raises(InputError, match=r"service grader .*the model 'm-2' .* not known .*check model") as raised:
        ask_through_client(service(kind, address, model="m-2"), tmp_path / "journal.jsonl")

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ONE_EACH)
def test_a_used_up_quota_ends_the_step_and_keeps_what_was_answered(kind: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    with running(Simulation(quota=2)) as simulated:
        settings = service(kind, simulated, base_url=simulated, simulated=True, concurrency=1)
        with pytest.raises(InputError, match=r"service grader .*no credit left .*start again") as raised:
            ask_through_client(settings, journal, requests=5)

    assert "\n" not in str(raised.value)
    assert len(journal.read_text().splitlines()) >= 2


@pytest.mark.parametrize("kind", ONE_EACH)
def test_a_name_that_no_dns_knows_is_told_with_what_to_do(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_key(kind, monkeypatch)
    settings = service(kind, "http://llm.invalid", retries=0)

    with pytest.raises(
        ServiceError, match=r"the name llm\.invalid is not known.*check base_url, set HTTPS_PROXY"
    ) as raised:
        ask_through_client(settings, tmp_path / "journal.jsonl")

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ONE_EACH)
def test_where_nothing_listens_a_proxy_is_suggested(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_key(kind, monkeypatch)
    settings = service(kind, "http://127.0.0.1:9", retries=0)

    with pytest.raises(ServiceError, match=r"127\.0\.0\.1 cannot be reached.*set HTTPS_PROXY") as raised:
        ask_through_client(settings, tmp_path / "journal.jsonl")

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini"])
def test_a_proxy_that_does_not_answer_is_named_as_such(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_key(kind, monkeypatch)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    settings = service(kind, "http://llm.invalid", retries=0)

    with pytest.raises(ServiceError, match="HTTPS_PROXY"):
        ask_through_client(settings, tmp_path / "journal.jsonl")
