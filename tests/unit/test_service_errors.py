"""Each vendor's SDK against a server that speaks its protocol badly, or refuses: what may pass, and what will not."""

from collections.abc import Iterator

import pytest
from single_call import PROVIDERS, ask
from vendor_server import Reaction, VendorServer, vendor_server
from vendor_server import answer as whole_answer

from llamaduo.service.interface import Rejected, Transient


@pytest.fixture
def server() -> Iterator[VendorServer]:
    with vendor_server() as running:
        yield running


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
