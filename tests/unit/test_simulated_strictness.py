"""What the simulated service refuses, as the vendors do: keys, fields, types, schemas, models; and its limits."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from llamaduo.config.simulation import Faults, Simulation
from llamaduo.simulated.allowance import Allowance
from llamaduo.simulated.conversation import Prefix
from llamaduo.simulated.prompt_cache import PromptCache, Use
from llamaduo.simulated.server import running

USER = {"role": "user", "content": "Hello?"}
OPENAI = {"model": "m", "messages": [USER]}
ANTHROPIC = {"model": "m", "messages": [USER], "max_tokens": 5}
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "Hello?"}]}]}
OPEN_SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED_SCHEMA = {**OPEN_SCHEMA, "required": ["a"], "additionalProperties": False}
BEARER = {"Authorization": "Bearer k"}
VERSION = {"anthropic-version": "2023-06-01"}
VERTEX = "projects/p/locations/l/publishers"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(Simulation(key="k", models=["m"])) as address:
        yield address


def post(address: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, dict[str, str], Any]:
    """(status, headers in lower case, the body's value)"""
    request = urllib.request.Request(
        f"{address}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"} | headers
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, {k.lower(): v for k, v in response.headers.items()}, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {k.lower(): v for k, v in error.headers.items()}, json.load(error)


PLACES: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "openai": ("/v1/chat/completions", OPENAI, BEARER),
    "azure": ("/openai/deployments/m/chat/completions?api-version=2024-10-21", OPENAI, {"api-key": "k"}),
    "anthropic": ("/v1/messages", ANTHROPIC, {"x-api-key": "k"} | VERSION),
    "anthropic-vertex": (
        f"/v1/{VERTEX}/anthropic/models/m:rawPredict",
        {"anthropic_version": "vertex-2023-10-16", "messages": [USER], "max_tokens": 5},
        BEARER,
    ),
    "anthropic-bedrock": (
        "/model/m/invoke",
        {"anthropic_version": "bedrock-2023-05-31", "messages": [USER], "max_tokens": 5},
        BEARER,
    ),
    "gemini": ("/v1beta/models/m:generateContent", GEMINI, {"x-goog-api-key": "k"}),
    "gemini-vertex": (f"/v1beta1/{VERTEX}/google/models/m:generateContent", GEMINI, BEARER),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_right_request_is_answered_and_wrong_ones_are_not(place: str, address: str) -> None:
    path, body, headers = PLACES[place]
    wrong_key = {name: value.replace("k", "w") if name not in VERSION else value for name, value in headers.items()}
    wrong_key = {name: "Bearer w" if name == "Authorization" else value for name, value in wrong_key.items()}

    assert post(address, path, body, headers)[0] == 200
    assert post(address, path, body, VERSION)[0] in {400, 401, 403}
    assert post(address, path, body, wrong_key)[0] in {400, 401, 403}
    assert post(address, path, body | {"colour": "red"}, headers)[0] == 400
    assert post(address, path, [], headers)[0] == 400
    unknown = post(
        address,
        path.replace("/m:", "/x:").replace("/m/", "/x/"),
        body | ({"model": "x"} if "model" in body else {}),
        headers,
    )
    assert unknown[0] in {404, 400}


@pytest.mark.parametrize(
    ("place", "change", "words"),
    [
        ("openai", {"messages": []}, "messages"),
        ("openai", {"messages": [{"role": "system", "content": "x"}]}, "no user turn"),
        ("openai", {"messages": [{"role": "robot", "content": "x"}]}, "role"),
        ("openai", {"temperature": 2.5}, "temperature"),
        ("openai", {"temperature": "1"}, "temperature"),
        ("openai", {"n": 0}, "n:"),
        ("openai", {"stream": True}, "stream"),
        ("openai", {"response_format": {"type": "json_schema"}}, "json_schema"),
        (
            "openai",
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": CLOSED_SCHEMA}}},
            "name",
        ),
        (
            "openai",
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "strict": True, "schema": OPEN_SCHEMA},
                }
            },
            "additionalProperties must be false",
        ),
        (
            "openai",
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": 5}}}},
            "invalid schema",
        ),
        ("anthropic", {"max_tokens": None}, "max_tokens"),
        ("anthropic", {"temperature": 1.5}, "temperature"),
        ("anthropic", {"messages": [{"role": "system", "content": "x"}]}, "role"),
        ("anthropic", {"output_config": {"format": {"type": "json_schema", "schema": OPEN_SCHEMA}}}, "must be false"),
        (
            "anthropic",
            {
                "output_config": {
                    "format": {
                        "type": "json_schema",
                        "schema": {**CLOSED_SCHEMA, "properties": {"a": {"type": "number", "minimum": 0}}},
                    }
                }
            },
            "minimum",
        ),
        (
            "anthropic",
            {
                "system": [{"type": "text", "text": str(n), "cache_control": {"type": "ephemeral"}} for n in range(5)],
            },
            "maximum of 4",
        ),
        ("anthropic-vertex", {"model": "m"}, "model"),
        ("anthropic-bedrock", {"anthropic_version": None}, "anthropic_version"),
        ("gemini", {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "role"),
        ("gemini", {"generationConfig": {"candidateCount": 9}}, "candidateCount"),
        ("gemini", {"generationConfig": {"responseJsonSchema": CLOSED_SCHEMA}}, "response_mime_type"),
        ("gemini", {"generationConfig": {"max_tokens": 5}}, "max_tokens"),
    ],
)
def test_what_the_vendor_does_not_document_is_refused_by_name(
    place: str, change: dict[str, Any], words: str, address: str
) -> None:
    path, body, headers = PLACES[place]

    status, _, answer = post(address, path, body | change, headers)

    assert status == 400
    assert words in json.dumps(answer)


def test_anthropic_wants_the_version_in_a_header(address: str) -> None:
    assert post(address, "/v1/messages", ANTHROPIC, {"x-api-key": "k"})[0] == 400


def test_every_other_path_is_not_found(address: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"{address}/v1/embeddings", b"{}")
    with raised.value as error:
        assert error.code == 404


@pytest.mark.parametrize(
    ("place", "remaining"),
    [("openai", "x-ratelimit-remaining-requests"), ("anthropic", "anthropic-ratelimit-requests-remaining")],
)
def test_beyond_the_limit_comes_429_with_the_wait_and_headers_tell_what_is_left(place: str, remaining: str) -> None:
    path, body, headers = PLACES[place]
    with running(Simulation(requests_per_minute=2)) as limited:
        answers = [post(limited, path, body, headers) for _ in range(3)]

    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert [told[remaining] for _, told, _ in answers] == ["1", "0", "0"]
    assert 50 < float(answers[2][1]["retry-after"]) <= 60


def test_tokens_have_a_limit_too() -> None:
    path, body, headers = PLACES["openai"]
    body = body | {"messages": [{"role": "user", "content": "word " * 100}]}
    with running(Simulation(tokens_per_minute=200, reply="fixed")) as limited:
        answers = [post(limited, path, body, headers) for _ in range(2)]

    assert [status for status, _, _ in answers] == [200, 429]
    assert answers[0][1]["x-ratelimit-limit-tokens"] == "200"


@pytest.mark.parametrize(("place", "status"), [("openai", 529), ("anthropic", 529), ("gemini", 503)])
def test_an_overloaded_service_says_so(place: str, status: int) -> None:
    path, body, headers = PLACES[place]
    with running(Simulation(faults=Faults(overloaded=1))) as overloaded:
        assert post(overloaded, path, body, headers)[0] == status


def test_no_minute_holds_more_than_the_limit() -> None:
    now = 0.0
    allowance = Allowance(10, None, clock=lambda: now)
    taken = []
    for tick in range(1300):
        now = tick / 10
        if allowance.take(1) is None:
            taken.append(now)

    assert len(taken) == 30
    assert all(later - earlier > 59.99 for earlier, later in zip(taken, taken[10:], strict=False))


def test_the_wait_that_is_told_is_the_shortest_that_helps() -> None:
    now = 0.0
    allowance = Allowance(None, 100, clock=lambda: now)
    assert allowance.take(40) is None
    now = 10.0
    assert allowance.take(40) is None
    now = 20.0

    assert allowance.take(30) == 40.0
    assert allowance.left().tokens is not None
    now = 60.0
    assert allowance.take(30) is None


def test_a_prompt_is_read_from_the_cache_once_it_was_answered_and_for_five_minutes() -> None:
    now = 0.0
    cache = PromptCache(clock=lambda: now)
    short, long = Prefix("a", 1500), Prefix("b", 4000)

    assert cache.look_up("m", [short, long]) == Use(0, 4000)
    assert cache.look_up("m", [short, long]) == Use(0, 4000)
    cache.keep("m", [short, long])
    assert cache.look_up("m", [short, long]) == Use(4000, 0)
    assert cache.look_up("m", [short, Prefix("c", 3000)]) == Use(1500, 1500)
    assert cache.look_up("n", [short]) == Use(0, 1500)
    assert cache.look_up("m", [Prefix("d", 100)]) == Use()
    now = 301.0
    assert cache.look_up("m", [short]) == Use(0, 1500)


def test_samples_of_a_call_follow_its_replicate() -> None:
    from llamaduo.simulated.conversation import Conversation

    asked = Conversation("m", (), replicate="4.1")

    assert [asked.sample(number).replicate for number in range(3)] == ["4.1", "5.1", "6.1"]
    assert all(one != other for one, other in pairwise(asked.sample(number).key for number in range(3)))
