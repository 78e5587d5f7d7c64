"""Each vendor's SDK against a server that speaks its protocol: what is sent, and what is read of an answer."""

import json
from collections.abc import Iterator

import pytest
from single_call import OLDER_GEMINI, PROVIDERS, REQUEST, SCHEMA, ask
from vendor_server import Reaction, VendorServer, vendor_server

from llamaduo.config.services import Generation
from llamaduo.service.interface import Rejected, Request

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def server() -> Iterator[VendorServer]:
    with vendor_server() as running:
        yield running


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_comes_back_with_its_text_stop_reason_tokens_and_date(provider: str, server: VendorServer) -> None:
    server.react = lambda request, number: Reaction(text="ça va – 好")

    answer = ask(provider, server)

    assert (answer.text, answer.stop_reason) == ("ça va – 好", "stop")
    assert (answer.prompt_tokens, answer.completion_tokens) == (7, 3)
    assert len(answer.date) == len("2026-01-31T12:00:00Z")
    assert answer.date.endswith("Z")
    assert server.received[0].headers["x-llamaduo-replicate"] == "3.1"


def test_openai_gets_the_turns_the_sampling_and_a_strict_schema(server: VendorServer) -> None:
    ask("openai", server)

    (request,) = server.received
    assert request.path == "/v1/chat/completions"
    assert request.body["model"] == "m-1"
    assert request.body["messages"] == list(REQUEST.messages)
    assert (request.body["temperature"], request.body["top_p"]) == (0.5, 0.9)
    assert request.body["max_completion_tokens"] == 77
    schema = request.body["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["required"] == ["score", "reason"]
    assert schema["schema"]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("mistral-small", "max_tokens"),
        ("openai/gpt-oss-20b", "max_tokens"),
        ("openai/gpt-4o", "max_completion_tokens"),
        ("o3-mini", "max_completion_tokens"),
    ],
)
def test_ones_own_server_needs_no_key_and_gets_the_field_that_all_know(
    model: str, name: str, server: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_API_KEY", "SERVICE_LLM_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    off = {role: {"temperature": None} for role in ("generator", "judge", "baseline")}

    ask("openai", server, model=model, simulated=False, base_url=f"{server.address}/v1", generation=off)

    (request,) = server.received
    assert request.path == "/v1/chat/completions"
    assert {"max_tokens", "max_completion_tokens"} & set(request.body) == {name}
    assert request.body[name] == 77


def test_the_older_gemini_sdk_counts_the_tokens_of_thinking(server: VendorServer) -> None:
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 3, "thoughtsTokenCount": 40, "totalTokenCount": 50}
    candidate = {"content": {"role": "model", "parts": [{"text": "fine"}]}, "finishReason": "STOP"}
    server.react = lambda request, number: Reaction(body={"candidates": [candidate], "usageMetadata": usage})

    for provider in (OLDER_GEMINI, "gemini"):
        answer = ask(provider, server)
        assert (answer.prompt_tokens, answer.completion_tokens) == (7, 43)


def test_anthropic_gets_the_system_turn_apart_and_the_schema_as_output_config(server: VendorServer) -> None:
    ask("anthropic", server)

    (request,) = server.received
    assert request.path == "/v1/messages"
    assert request.body["system"] == "Be brief."
    assert request.body["messages"] == list(REQUEST.messages[1:])
    assert (request.body["temperature"], request.body["top_p"], request.body["max_tokens"]) == (0.5, 0.9, 77)
    schema = request.body["output_config"]["format"]["schema"]
    assert schema["additionalProperties"] is False
    assert "minimum" not in schema["properties"]["score"]  # its API refuses ranges


def test_gemini_gets_the_system_turn_apart_its_own_roles_and_the_schema(server: VendorServer) -> None:
    ask("gemini", server)

    (request,) = server.received
    assert request.path == "/v1beta/models/m-1:generateContent"
    assert request.body["systemInstruction"]["parts"][0]["text"] == "Be brief."
    assert [turn["role"] for turn in request.body["contents"]] == ["user", "model", "user"]
    settings = request.body["generationConfig"]
    assert (settings["temperature"], settings["topP"], settings["maxOutputTokens"]) == (0.5, 0.9, 77)
    assert settings["responseMimeType"] == "application/json"
    assert settings["responseJsonSchema"] == SCHEMA


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_is_not_set_is_not_sent(provider: str, server: VendorServer) -> None:
    generation = Generation(temperature=None, top_p=None, max_tokens=5)

    ask(provider, server, Request(REQUEST.messages[1:2], None, generation))

    body = json.dumps(server.received[0].body)
    for word in ("temperature", "top_p", "topP", "schema", "Schema", "system", "tools"):
        assert word not in body


@pytest.mark.parametrize(
    ("provider", "stop", "expected"),
    [
        ("openai", "length", "length"),
        ("openai", "content_filter", "filtered"),
        ("openai", "refusal", "refusal"),
        ("openai", "tool_calls", "other"),
        ("anthropic", "max_tokens", "length"),
        ("anthropic", "model_context_window_exceeded", "length"),
        ("anthropic", "refusal", "refusal"),
        ("anthropic", "stop_sequence", "stop"),
        ("anthropic", "pause_turn", "other"),
        ("gemini", "MAX_TOKENS", "length"),
        ("gemini", "SAFETY", "filtered"),
        ("gemini", "RECITATION", "filtered"),
        ("gemini", "PROHIBITED_CONTENT", "filtered"),
        ("gemini", "OTHER", "other"),
        pytest.param(
            *("gemini", "A_REASON_OF_THE_FUTURE", "other"),
            marks=pytest.mark.filterwarnings("ignore:A_REASON_OF_THE_FUTURE:UserWarning"),
        ),
    ],
)
def test_why_an_answer_ended_is_recorded_as_what_it_is(
    provider: str, stop: str, expected: str, server: VendorServer
) -> None:
    server.react = lambda request, number: Reaction(text="so far", stop=stop)

    answer = ask(provider, server)

    assert answer.stop_reason == expected
    assert answer.text == "so far"


def test_a_prompt_that_gemini_blocks_is_a_filtered_answer(server: VendorServer) -> None:
    body = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 7}}
    server.react = lambda request, number: Reaction(body=body)

    answer = ask("gemini", server)

    assert (answer.text, answer.stop_reason, answer.detail) == ("", "filtered", "PROHIBITED_CONTENT")


def test_a_prompt_that_azure_filters_is_a_filtered_answer(server: VendorServer) -> None:
    server.react = lambda request, number: Reaction(status=400, text="filtered by policy", stop="content_filter")

    answer = ask("openai", server)

    assert (answer.text, answer.stop_reason, answer.detail) == ("", "filtered", "filtered by policy")


def test_the_thoughts_of_gemini_are_counted_but_are_no_part_of_the_text(server: VendorServer) -> None:
    parts = [{"text": "hmm", "thought": True}, {"text": "yes"}]
    body = {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 1, "thoughtsTokenCount": 20},
    }
    server.react = lambda request, number: Reaction(body=body)

    answer = ask("gemini", server)

    assert (answer.text, answer.completion_tokens) == ("yes", 21)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini"])  # the older SDK reads no such text
def test_an_answers_text_can_be_stored_whatever_the_vendor_sent(provider: str, server: VendorServer) -> None:
    server.react = lambda request, number: Reaction(text="half \ud83d, nul \0")

    assert ask(provider, server).text == "half \ufffd, nul "


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_simulated_service_is_reached_past_the_sites_proxy(
    provider: str, server: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert ask(provider, server).text == "fine"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_real_service_gets_the_key_in_a_header_and_no_message_shows_it(
    provider: str, server: VendorServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_LLM_API_KEY", KEY)
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    server.react = lambda request, number: Reaction(status=401, text=f"Incorrect API key provided: {KEY}")

    with pytest.raises(Rejected) as raised:
        ask(provider, server, simulated=False)

    request = server.received[0]
    assert KEY in " ".join(request.headers.values())
    assert KEY not in json.dumps(request.body) + request.path
    assert KEY not in str(raised.value)
