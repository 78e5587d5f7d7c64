"""Anthropic's prompt cache: what is marked for it, and that repeated prompts are written once and then read."""

import asyncio
from typing import Any

import pytest

from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.config.simulation import Simulation
from llamaduo.models.messages import Message
from llamaduo.service.interface import Answer, Request
from llamaduo.service.providers.anthropic import body
from llamaduo.service.providers.prompt_cache import CHARACTERS_PER_TOKEN
from llamaduo.service.providers.registry import open_provider
from llamaduo.simulated.server import running

LONG = "word " * 2000


def request(system: str, user: str, repeated: bool, replicate: int = 0) -> Request:
    turns = (Message(role="system", content=system), Message(role="user", content=user))
    return Request(turns, None, Generation(max_tokens=50), replicate, repeated)


def sent(system: str, user: str, repeated: bool, **settings: object) -> dict[str, Any]:
    service = ServiceSettings.model_validate({"provider": "anthropic", "model": "claude-sonnet-4-5"} | settings)
    return body(service, request(system, user, repeated))


def marks(content: object) -> int:
    return str(content).count("cache_control")


@pytest.mark.parametrize(
    ("system", "user", "repeated", "system_marks", "user_marks"),
    [
        pytest.param("Grade.", LONG, True, 0, 1, id="a long prompt that others repeat is marked at its end"),
        pytest.param("Grade.", LONG, False, 0, 0, id="one that none repeats is not"),
        pytest.param("Grade.", "Short.", True, 0, 0, id="nor is one too short for the cache"),
        pytest.param(LONG, "Short.", False, 1, 0, id="a long system turn is shared by all"),
        pytest.param(LONG, "Short.", True, 1, 1, id="and what follows it by the replicates"),
    ],
)
def test_marks_stand_where_they_pay(system: str, user: str, repeated: bool, system_marks: int, user_marks: int) -> None:
    content = sent(system, user, repeated)

    assert (marks(content["system"]), marks(content["messages"])) == (system_marks, user_marks)


def test_no_mark_where_caching_is_off() -> None:
    assert marks(sent(LONG, LONG, True, prompt_caching=False)) == 0


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("claude-haiku-4-5-20251001", 4096),
        ("claude-opus-4-5", 4096),
        ("eu.anthropic.claude-opus-4-7-v1:0", 2048),
        ("claude-3-5-haiku@20241022", 2048),
        ("claude-opus-4-1", 1024),
    ],
)
def test_each_model_has_its_own_least_length(model: str, tokens: int) -> None:
    text = "x" * tokens * CHARACTERS_PER_TOKEN

    def marked(user: str) -> int:
        generation = {role: {"temperature": None} for role in ("generator", "judge", "baseline")}
        return marks(sent("", user, True, model=model, structured_output=False, generation=generation))

    assert (marked(text), marked(text[1:])) == (1, 0)


def test_the_first_of_the_replicates_writes_the_prompt_and_the_others_read_it() -> None:
    with running(Simulation()) as address:
        service = ServiceSettings.model_validate(
            {"provider": "anthropic", "model": "m", "base_url": address, "simulated": True}
        )

        async def in_turn() -> list[Answer]:
            opened = open_provider("s", service, address)
            answers = []
            for replicate in range(3):
                headers = {"x-llamaduo-replicate": f"{replicate}.0"}
                answers += await opened.ask(request("Grade.", LONG, True, replicate), headers)
            await opened.close()
            return answers

        first, *others = asyncio.run(in_turn())

    assert first.cached_tokens == 0
    assert 0 < first.cache_write_tokens <= first.prompt_tokens
    assert [(answer.cached_tokens, answer.cache_write_tokens) for answer in others] == [
        (first.cache_write_tokens, 0)
    ] * 2
    assert {answer.prompt_tokens for answer in others} == {first.prompt_tokens}
