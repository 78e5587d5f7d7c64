"""Each vendor's SDK against a server that speaks its protocol, well and badly."""

import asyncio
import json
from collections.abc import Iterator

import pytest
from vendor_server import Reaction, VendorServer, vendor_server
from vendor_server import answer as whole_answer

from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.messages import Message
from llamaduo.service.interface import Answer, Rejected, Request, Transient
from llamaduo.service.providers import open_provider

OLDER_GEMINI = "google-generativeai"
PROVIDERS = ["openai", "anthropic", "gemini", OLDER_GEMINI]
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 0, "maximum": 100}, "reason": {"type": "string"}},
}
REQUEST = Request(
    messages=(
        Message(role="system", content="Be brief."),
        Message(role="user", content="Hello?"),
        Message(role="assistant", content="Hello."),
        Message(role="user", content="How are you?"),
    ),
    json_schema=SCHEMA,
    generation=Generation(temperature=0.5, top_p=0.9, max_tokens=77),
)
KEY = "sk-very-secret-0123456789"


@pytest.fixture
def server() -> Iterator[VendorServer]:
    with vendor_server() as running:
        yield running


def ask(provider: str, server: VendorServer, request: Request = REQUEST, **settings: object) -> Answer:
    chosen = {"provider": "gemini", "sdk": OLDER_GEMINI} if provider == OLDER_GEMINI else {"provider": provider}
    service = ServiceSettings.model_validate(
        {"model": "m-1", "simulated": True, "base_url": server.address, **chosen, **settings}
    )

    async def once() -> Answer:
        opened = open_provider("s", service, service.base_url)
        try:
            async with asyncio.timeout(service.timeout_seconds):
                return (await opened.ask(request, {"x-llamaduo-replicate": "3.1"}))[0]
        finally:
            await opened.close()

    return asyncio.run(once())


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


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "reaction",
    [
        pytest.param(Reaction(cut="length"), id="connection lost within the announced length"),
        pytest.param(Reaction(cut="end"), id="connection lost in a body of unknown length"),
        pytest.param(Reaction(body=b"<html>Bad gateway</html>", content_type="text/html"), id="a proxy's page"),
        pytest.param(Reaction(body={}), id="an empty object"),
        pytest.param(Reaction(body=[]), id="an empty list"),
        pytest.param(Reaction(body={"error": {"message": "upstream"}}), id="an error with status 200"),
        pytest.param(Reaction(body=b""), id="no body"),
        pytest.param(Reaction(body=b"[" * 100_000), id="nested without end"),
        pytest.param(Reaction(body=b"9" * 5000), id="a number without end"),
    ],
)
def test_what_is_no_whole_answer_never_passes_as_one(provider: str, reaction: Reaction, server: VendorServer) -> None:
    server.react = lambda request, number: reaction

    with pytest.raises(Transient):
        ask(provider, server)

    assert len(server.received) == 1  # the SDK itself sends nothing twice


@pytest.mark.parametrize(
    ("provider", "missing"),
    [
        ("openai", "choices"),
        ("openai", "finish_reason"),
        ("anthropic", "stop_reason"),
        ("anthropic", "content"),
        ("gemini", "finishReason"),
        ("gemini", "candidates"),
    ],
)
def test_an_answer_without_what_makes_it_whole_never_passes_as_one(
    provider: str, missing: str, server: VendorServer
) -> None:
    def without(value: object) -> object:
        if isinstance(value, dict):
            return {key: without(inner) for key, inner in value.items() if key != missing}
        return [without(inner) for inner in value] if isinstance(value, list) else value

    paths = {"openai": "/chat/completions", "anthropic": "/messages", "gemini": ":generateContent"}
    server.react = lambda request, number: Reaction(body=without(whole_answer(paths[provider], Reaction())))

    with pytest.raises(Transient):
        ask(provider, server)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 529])
def test_rate_limits_and_server_errors_may_pass(provider: str, status: int, server: VendorServer) -> None:
    server.react = lambda request, number: Reaction(status=status, text="later", headers={"Retry-After": "7"})

    with pytest.raises(Transient, match=f"status {status}: .*later") as raised:
        ask(provider, server)

    assert raised.value.retry_after == 7
    assert len(server.received) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("status", "words"),
    [(400, "not accepted"), (401, "API key"), (403, "API key"), (404, "model 'm-1'"), (422, "not accepted")],
)
def test_errors_of_the_settings_will_not_pass(provider: str, status: int, words: str, server: VendorServer) -> None:
    server.react = lambda request, number: Reaction(status=status, text="no\nway")

    with pytest.raises(Rejected, match=words) as raised:
        ask(provider, server)

    assert "no way" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("provider", "status", "code", "message", "stop_reason"),
    [
        ("openai", 400, "context_length_exceeded", "Please reduce the length of the messages.", "length"),
        ("openai", 400, None, "This model's maximum context length is 8192 tokens. You requested 8227", "length"),
        ("openai", 400, None, "request (900 tokens) exceeds the available context size (512 tokens)", "length"),
        ("openai", 413, None, "Request Entity Too Large", "length"),
        ("openai", 400, "content_filter", "filtered by policy", "filtered"),
        ("anthropic", 400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", "length"),
        (
            *("anthropic", 400, "invalid_request_error"),
            *("input length and `max_tokens` exceed context limit: 199990 + 77 > 200000, decrease", "length"),
        ),
        ("anthropic", 413, "request_too_large", "Request exceeds the maximum size", "length"),
        ("anthropic", 400, "invalid_request_error", "Output blocked by content filtering policy", "filtered"),
        (
            *("gemini", 400, "INVALID_ARGUMENT"),
            *("The input token count (3475108) exceeds the maximum number of tokens allowed (1048576).", "length"),
        ),
    ],
)
def test_an_error_about_one_prompt_is_its_empty_answer(
    provider: str, status: int, code: str | None, message: str, stop_reason: str, server: VendorServer
) -> None:
    server.react = lambda request, number: Reaction(status=status, text=message, stop=code)

    answer = ask(provider, server)

    assert (answer.text, answer.stop_reason, answer.detail) == ("", stop_reason, message)
    assert answer.completion_tokens == 0
    assert answer.not_begun


@pytest.mark.parametrize(
    ("provider", "status", "code", "message"),
    [
        ("openai", 400, None, "max_tokens is too large: 77. This model's maximum context length is 64 tokens"),
        ("anthropic", 400, None, "input length and `max_tokens` exceed context limit: 9 + 77 > 64, decrease"),
        ("openai", 400, None, "max_tokens is too large: 77. This model supports at most 64 completion tokens"),
        ("openai", 413, "rate_limit_exceeded", "Request too large for your plan: tokens per minute"),
        ("openai", 403, "content_filter", "no access"),
        ("gemini", 400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    ],
)
def test_an_error_that_every_prompt_would_meet_is_none_of_one_prompt(
    provider: str, status: int, code: str | None, message: str, server: VendorServer
) -> None:
    server.react = lambda request, number: Reaction(status=status, text=message, stop=code)

    with pytest.raises(Rejected):
        ask(provider, server)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini"])  # the older SDK reads no such text
def test_an_answers_text_can_be_stored_whatever_the_vendor_sent(provider: str, server: VendorServer) -> None:
    server.react = lambda request, number: Reaction(text="half \ud83d, nul \0")

    assert ask(provider, server).text == "half \ufffd, nul "


def test_an_error_message_can_be_stored_too(server: VendorServer) -> None:
    server.react = lambda request, number: Reaction(status=400, text="half \ud83d", stop="content_filter")

    assert ask("openai", server).detail == "half \ufffd"


def test_a_text_that_is_no_text_never_passes_as_an_answer(server: VendorServer) -> None:
    body = whole_answer("/chat/completions", Reaction())
    body["choices"][0]["message"]["content"] = [{"type": "text", "text": "parts"}]
    server.react = lambda request, number: Reaction(body=body)

    with pytest.raises(Transient):
        ask("openai", server)


def test_a_spent_account_is_no_rate_limit(server: VendorServer) -> None:
    server.react = lambda request, number: Reaction(status=429, text="check your plan", stop="insufficient_quota")

    with pytest.raises(Rejected, match="no credit left"):
        ask("openai", server)


def test_gemini_states_its_wait_in_the_body(server: VendorServer) -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7.5s"}
    body = {"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details": [info]}}
    server.react = lambda request, number: Reaction(status=429, body=body)

    with pytest.raises(Transient) as raised:
        ask("gemini", server)

    assert raised.value.retry_after == 7.5


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_server_at_the_address_may_pass(provider: str) -> None:
    nobody = VendorServer()
    nobody.address = "http://127.0.0.1:9"

    with pytest.raises(Transient, match="no answer"):
        ask(provider, nobody)


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
