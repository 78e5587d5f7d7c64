"""Questions to a scripted server that says what it was asked, and the journal that comes of them."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vendor_server import Reaction, Received, VendorServer, vendor_server

from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.models.messages import Message
from llamaduo.service.client import ask_all
from llamaduo.service.interface import Answer, Outcome, Request, Unacceptable

MOST_TOKENS = 100
"""Of an answer."""


@contextmanager
def answering_server() -> Iterator[VendorServer]:
    """A server that answers by `completion`."""
    with vendor_server() as running:
        running.react = lambda request, number: completion(request)
        yield running


def completion(request: Received, samples: int | None = None, broken: tuple[str, ...] = ()) -> Reaction:
    """Samples that say what was asked and which "replicate.attempt" each of them stands for.

    `samples`: as many as were asked for, when not given. `broken`: those that are not what was asked for.
    """
    if "n" in request.body:
        assert request.body["n"] > 1
    first, _, attempt = request.headers["x-llamaduo-replicate"].partition(".")
    question = request.body["messages"][0]["content"]
    choices = []
    for number in range(samples or request.body.get("n", 1)):
        name = f"{int(first) + number}.{attempt}"
        text = "broken" if name in broken else f"{question} {name}"
        message = {"role": "assistant", "content": text, "refusal": None}
        choices.append({"index": number, "finish_reason": "stop", "message": message})
    usage = {"prompt_tokens": 7, "completion_tokens": 3 * len(choices), "total_tokens": 7 + 3 * len(choices)}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": choices, "usage": usage}
    return Reaction(body=body)


def echo(request: Received) -> str:
    """The question and the "replicate.attempt" it was asked for: the text of a single sample."""
    return f"{request.body['messages'][0]['content']} {request.headers.get('x-llamaduo-replicate')}"


def service_at(address: str, **settings: object) -> ServiceSettings:
    described = {"provider": "openai", "model": "m", "simulated": True, "base_url": address, **settings}
    return ServiceSettings.model_validate(described)


def question(text: str, replicate: int = 0, schema: dict[str, Any] | None = None) -> Request:
    generation = Generation(max_tokens=MOST_TOKENS)
    return Request((Message(role="user", content=text),), schema, generation, replicate)


def whole(answer: Answer) -> str:
    if answer.text == "broken":
        raise Unacceptable("broken")
    return answer.text


def ask(
    server: VendorServer,
    folder: Path,
    requests: list[Request],
    accept: Callable[[Answer], str] = whole,
    budget: Any = None,
    **settings: object,
) -> list[Outcome[str]]:
    service = service_at(server.address, **settings)
    return ask_all("s", service, requests, accept, folder / "journal.jsonl", "asking", budget=budget)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
