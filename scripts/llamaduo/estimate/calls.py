"""How large one call is, by task, service and role: the tokens of its prompt and of each of its answers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from llamaduo.config.root import Config
from llamaduo.config.services import Price, ServiceSettings
from llamaduo.estimate.data import TaskData
from llamaduo.inference import service_responses
from llamaduo.judging import grades
from llamaduo.models.messages import as_text, context, response
from llamaduo.service.budget.cost import dollars, prompt_tokens_expected
from llamaduo.service.interface import Answer, Request
from llamaduo.service.prompts import Prompts, for_metrics
from llamaduo.service.providers import prompt_cache
from llamaduo.synthesis.seeds import calls
from llamaduo.synthesis.synthesize import requests as synthesis_requests

ROWS_LOOKED_AT = 100
PAIR_MARKS = 12
"""Tokens that the JSON around a pair takes."""


@dataclass(frozen=True)
class CallSize:
    """Mean tokens of a call: of its prompt, of each answer, and of the prompt those from and to the vendor's cache."""

    prompt: float
    answer: float
    cached: float = 0.0
    cache_write: float = 0.0
    measured: bool = False


Sizes = dict[tuple[str, str, str], CallSize]
"""By task, service and role."""


def call_sizes(config: Config, prompts: Prompts, data: dict[str, TaskData], measured: Sizes) -> Sizes:
    """The sizes of all calls that a config leads to; `measured` ones go before those made from the data."""
    sizes: Sizes = {}
    for task in config.tasks:
        for name in config.tasks[task].generators:
            sizes[task, name, "generator"] = _generator(config, prompts, task, name, data[task])
        for name in config.baseline_services(task):
            sizes[task, name, "baseline"] = _baseline(config.services[name], data[task])
        for name in config.judges_of(task):
            sizes[task, name, "judge"] = _judge(config, prompts, config.services[name], data[task])
    return sizes | {key: size for key, size in measured.items() if key in sizes}


def dollars_of(calls: float, answers: float, size: CallSize, price: Price | None, batch: bool) -> float | None:
    """What so many calls with so many answers cost, in US dollars; None without a price."""
    whole = Answer(
        text="",
        stop_reason="stop",
        prompt_tokens=round(calls * size.prompt),
        completion_tokens=round(answers * size.answer),
        date="",
        cached_tokens=round(calls * size.cached),
        cache_write_tokens=round(calls * size.cache_write),
        batch=batch,
    )
    return dollars(whole, price)


def _generator(config: Config, prompts: Prompts, task: str, name: str, data: TaskData) -> CallSize:
    settings = config.synthesis
    drawn = calls(
        data.train[:ROWS_LOOKED_AT],
        range(min(len(data.train), ROWS_LOOKED_AT)),
        seeds_per_call=settings.seeds_per_call,
        task=task,
        generator=name,
        seed=config.seed,
    )
    service = config.services[name]
    asked = synthesis_requests(drawn, service, settings, prompts.generator, config.topic_of(task))
    return _size(asked, service, settings.pairs_per_call * (data.row_tokens + PAIR_MARKS), service.generation.generator)


def _baseline(service: ServiceSettings, data: TaskData) -> CallSize:
    asked = service_responses.requests(data.test[:ROWS_LOOKED_AT], 1, service.generation.baseline)
    return _size(asked, service, data.response_tokens, service.generation.baseline)


def _judge(config: Config, prompts: Prompts, service: ServiceSettings, data: TaskData) -> CallSize:
    # The reference stands for the response: about as long, and there before any model has answered.
    rows = [
        {
            "instructions": as_text(context(row["messages"])),
            "target_responses": response(row["messages"]),
            "candidate_responses": response(row["messages"]),
            "sample": 0,
        }
        for row in data.test[:ROWS_LOOKED_AT]
    ]
    wording = for_metrics(prompts.judge, config.judging.metrics, "judging.metrics")
    one_each = config.judging.model_copy(update={"grades": 1})
    asked = grades.requests(rows, one_each, wording, service.generation.judge)
    answer = config.estimate.grade_tokens * len(config.judging.metrics)
    size = _size(asked, service, answer, service.generation.judge)
    return _through_the_cache(size, service, config.judging.grades)


def _through_the_cache(size: CallSize, service: ServiceSettings, grades: int) -> CallSize:
    """Of the grades of one response, the first writes Anthropic's cache and the others read it, if it is long enough.

    In a batch the grades are asked at once, and what is read is left to chance.
    """
    caches = service.vendor == "anthropic" and service.prompt_caching and service.mode == "online" and grades > 1
    if not caches or size.prompt * prompt_cache.CHARACTERS_PER_TOKEN < prompt_cache.least_characters(service.model):
        return size
    written = size.prompt / grades
    return replace(size, cached=size.prompt - written, cache_write=written)


def _size(asked: Sequence[Request], service: ServiceSettings, answer: float, generation: object) -> CallSize:
    schema = asked[0].json_schema if service.structured_output else None
    prompt = sum(prompt_tokens_expected(request.messages, schema) for request in asked) / len(asked)
    most = getattr(generation, "max_tokens", None)
    return CallSize(prompt, min(answer, most) if most else answer)
