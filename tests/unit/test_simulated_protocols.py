"""The vendors' own SDKs understand the simulated service, its schemas and its faults."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from llamaduo.config.simulation import Faults, Simulation
from llamaduo.simulated.server import running

SCHEMA = {
    "type": "object",
    "properties": {
        metric: {
            "type": "object",
            "properties": {"score": {"type": "number"}, "reason": {"type": "string"}},
            "required": ["score", "reason"],
            "additionalProperties": False,
        }
        for metric in ("similarity", "tone")
    },
    "required": ["similarity", "tone"],
    "additionalProperties": False,
}
TO_GRADE = """Grade the response.
<instruction>
Which animal is this?
</instruction>
<reference>
a grey owl
</reference>
<response>
a grey owl
</response>
"""
PROVIDERS = ("openai", "anthropic", "gemini")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(Simulation()) as address:
        yield address


def ask(provider: str, address: str, prompt: str, schema: dict | None = None, most_tokens: int = 1000) -> tuple:
    """(text, why it ended, prompt tokens, completion tokens) by the vendor's SDK, without its retries."""
    headers = {"x-llamaduo-replicate": "0.0"}
    if provider == "openai":
        client = openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, default_headers=headers)
        form: Any = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}
        completion = client.chat.completions.create(
            model="model-a",
            messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}],
            max_completion_tokens=most_tokens,
            **({"response_format": form} if schema else {}),
        )
        choice, usage = completion.choices[0], completion.usage
        stop = "refusal" if choice.message.refusal else choice.finish_reason
        return choice.message.content, stop, usage.prompt_tokens, usage.completion_tokens
    if provider == "anthropic":
        claude = anthropic.Anthropic(base_url=address, api_key="none", max_retries=0, default_headers=headers)
        output: Any = {"output_config": {"format": {"type": "json_schema", "schema": schema}}} if schema else {}
        message = claude.messages.create(
            model="model-a",
            system="Be brief.",
            messages=[{"role": "user", "content": prompt}],
            max_tokens=most_tokens,
            **output,
        )
        text = message.content[0].text if message.content else None
        return text, message.stop_reason, message.usage.input_tokens, message.usage.output_tokens
    client = genai.Client(api_key="none", http_options=types.HttpOptions(base_url=address, headers=headers))
    form = {"response_mime_type": "application/json", "response_json_schema": schema} if schema else {}
    answer = client.models.generate_content(
        model="model-a",
        contents=prompt,
        config=types.GenerateContentConfig(system_instruction="Be brief.", max_output_tokens=most_tokens, **form),
    )
    usage = answer.usage_metadata
    stop = answer.candidates[0].finish_reason.value
    return answer.text, stop, usage.prompt_token_count, usage.candidates_token_count


@pytest.mark.parametrize("provider", PROVIDERS)
def test_answers_with_the_keys_of_the_requested_schema(provider: str, address: str) -> None:
    text, stop, prompt_tokens, completion_tokens = ask(provider, address, TO_GRADE, SCHEMA)
    assert set(json.loads(text)) == {"similarity", "tone"}
    assert stop in {"stop", "end_turn", "STOP"}
    assert prompt_tokens > 0
    assert completion_tokens > 0


def test_the_answer_does_not_depend_on_the_protocol(address: str) -> None:
    assert len({ask(provider, address, TO_GRADE, SCHEMA)[0] for provider in PROVIDERS}) == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_over_the_token_limit_is_cut_off_and_says_so(provider: str, address: str) -> None:
    text, stop, _, completion_tokens = ask(provider, address, "one two three four five " * 10, most_tokens=3)
    assert stop in {"length", "max_tokens", "MAX_TOKENS"}
    assert completion_tokens == 3
    assert "one two three four".startswith(text)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_refusal_has_no_text(provider: str) -> None:
    with running(Simulation(faults=Faults(refusal=1))) as address:
        text, stop, _, completion_tokens = ask(provider, address, "Hello.")
    assert not text
    assert stop in {"refusal", "SAFETY"}
    assert completion_tokens == 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_malformed_answers_are_no_json(provider: str) -> None:
    with running(Simulation(faults=Faults(malformed=1))) as address:
        text = ask(provider, address, TO_GRADE, SCHEMA)[0]
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)


@pytest.mark.parametrize(
    ("provider", "fault", "error"),
    [
        ("openai", "rate_limit", openai.RateLimitError),
        ("openai", "server_error", openai.InternalServerError),
        ("openai", "dropped", Exception),
        ("anthropic", "rate_limit", anthropic.RateLimitError),
        ("anthropic", "server_error", anthropic.InternalServerError),
        ("anthropic", "dropped", Exception),
        ("gemini", "rate_limit", genai_errors.ClientError),
        ("gemini", "server_error", genai_errors.ServerError),
        ("gemini", "dropped", Exception),
    ],
)
def test_transport_faults_reach_the_caller_and_pass(provider: str, fault: str, error: type[Exception]) -> None:
    with running(Simulation(faults=Faults(**{fault: 1}))) as address:
        for _ in range(3):
            with pytest.raises(error):
                ask(provider, address, "Hello.")
        assert ask(provider, address, "Hello.")[0] == "Hello."


def test_a_rate_limit_says_when_to_come_back() -> None:
    with running(Simulation(faults=Faults(rate_limit=1))) as address, pytest.raises(openai.RateLimitError) as caught:
        ask("openai", address, "Hello.")
    assert float(caught.value.response.headers["retry-after"]) > 0
