"""The samples of one call: their order, and how the call's tokens are divided among them."""

import pytest

from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.models.messages import Message
from llamaduo.service.interface import Request, Transient
from llamaduo.service.providers import anthropic, gemini, openai
from llamaduo.service.providers.samples import divided

REQUEST = Request((Message(role="user", content="Hello?"),), None, Generation())


def service(provider: str) -> ServiceSettings:
    return ServiceSettings.model_validate({"provider": provider, "model": "m"})


@pytest.mark.parametrize(
    ("total", "sizes", "parts"),
    [(10, [1, 1], [5, 5]), (10, [3, 1], [7, 3]), (7, [0, 0, 0], [2, 2, 3]), (0, [4, 5], [0, 0]), (5, [5], [5])],
)
def test_tokens_are_divided_by_size_and_none_is_lost(total: int, sizes: list[int], parts: list[int]) -> None:
    assert divided(total, sizes) == parts
    assert sum(divided(total + 1, sizes)) == total + 1


def completion(*texts: str, finish: str = "stop") -> dict:
    choices = [
        {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
        for index, text in enumerate(texts)
    ]
    details = {"cached_tokens": 64}
    usage = {"prompt_tokens": 100, "completion_tokens": 30, "prompt_tokens_details": details}
    return {"choices": choices[::-1], "usage": usage}


def test_choices_come_in_their_order_and_the_first_bears_the_prompt() -> None:
    first, second = openai.answers(completion("twice as long", "single"), 2)

    assert (first.text, second.text) == ("twice as long", "single")
    assert (first.prompt_tokens, second.prompt_tokens) == (100, 0)
    assert (first.cached_tokens, second.cached_tokens) == (64, 0)
    assert first.completion_tokens + second.completion_tokens == 30
    assert first.completion_tokens > second.completion_tokens


def test_fewer_samples_than_asked_for_are_returned_as_they_are() -> None:
    assert [answer.text for answer in openai.answers(completion("one"), 3)] == ["one"]


def test_more_samples_than_asked_for_were_paid_for_by_those_that_were() -> None:
    (answer,) = openai.answers(completion("one", "two", "three"), 1)

    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("one", 100, 30)


def test_one_of_several_samples_may_be_filtered() -> None:
    body = completion("one", "two")
    body["choices"][0] |= {"finish_reason": "content_filter", "message": {"role": "assistant"}}

    first, second = openai.answers(body, 2)

    assert (first.stop_reason, second.stop_reason, second.text) == ("stop", "filtered", "")


def test_gemini_counts_the_tokens_of_each_candidate_itself() -> None:
    candidates = [
        {"content": {"parts": [{"text": "short"}]}, "finishReason": "STOP", "tokenCount": 20},
        {"content": {"parts": [{"text": "much longer"}]}, "finishReason": "STOP", "index": 1, "tokenCount": 10},
    ]
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 30, "cachedContentTokenCount": 4}

    first, second = gemini.answers({"candidates": candidates, "usageMetadata": usage}, 2)

    assert (first.completion_tokens, second.completion_tokens) == (20, 10)
    assert (first.prompt_tokens, first.cached_tokens) == (9, 4)


def test_what_anthropic_reads_from_its_cache_and_writes_to_it_is_part_of_the_prompt() -> None:
    usage = {
        "input_tokens": 10,
        "cache_read_input_tokens": 2000,
        "cache_creation_input_tokens": 300,
        "output_tokens": 5,
    }
    body = {"content": [{"type": "text", "text": "x"}], "stop_reason": "end_turn", "usage": usage}

    (answer,) = anthropic.answers(body)

    assert (answer.prompt_tokens, answer.cached_tokens, answer.cache_write_tokens) == (2310, 2000, 300)


def test_samples_are_asked_for_in_the_vendors_word() -> None:
    assert openai.body(service("openai"), REQUEST, 3)["n"] == 3
    assert gemini.body(service("gemini"), REQUEST, 3)["generationConfig"]["candidateCount"] == 3
    assert "n" not in openai.body(service("openai"), REQUEST)
    assert "candidateCount" not in gemini.body(service("gemini"), REQUEST)["generationConfig"]


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": None}, [], None, {"choices": [{"index": 0}]}])
def test_what_is_no_whole_answer_is_told_as_such(body: object) -> None:
    with pytest.raises(Transient):
        openai.answers(body)  # type: ignore[arg-type]
