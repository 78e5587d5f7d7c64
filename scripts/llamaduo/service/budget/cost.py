"""What calls cost: exactly after the answer, at most and as expected before it. All token counts are of one call."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from llamaduo.config.services import Price
from llamaduo.models.messages import Message
from llamaduo.service.interface import Answer, Request
from llamaduo.storage.canonical import canonical

TOKENS_PER_PRICE = 1_000_000
"""Prices are dollars per so many tokens."""

CHARACTERS_PER_TOKEN = 4
"""What vendors tell their users to reckon with for English text."""

TOKENS_PER_TURN = 16
"""More than any vendor's marks around one turn take: role, beginning and end."""

TOKENS_FOR_A_SCHEMA = 1024
"""More than the words that any vendor puts around a JSON schema in the prompt (Anthropic's are several hundred)."""


def dollars(answer: Answer, price: Price | None) -> float | None:
    """What an answer cost by a price, in US dollars; None without a price."""
    if price is None:
        return None
    prompt, completion, cached, cache_write = _prices(price, answer.batch)
    plain = max(answer.prompt_tokens - answer.cached_tokens - answer.cache_write_tokens, 0)
    total = (
        plain * prompt
        + answer.cached_tokens * cached
        + answer.cache_write_tokens * cache_write
        + answer.completion_tokens * completion
    )
    return total / TOKENS_PER_PRICE


def priced(
    answers: Sequence[Answer], messages: Sequence[Message], schema: dict[str, Any] | None, price: Price | None
) -> list[Answer]:
    """The answers of one call, with their dollars.

    Some servers tell no tokens. Then the dollars are those of a bound on them, while the answers' tokens stay 0.
    """
    told = any(answer.prompt_tokens or answer.completion_tokens for answer in answers)
    if told or not any(answer.text for answer in answers):
        return [replace(answer, dollars=dollars(answer, price)) for answer in answers]
    found = []
    for place, answer in enumerate(answers):
        prompt_tokens = 0 if place else prompt_tokens_at_most(messages, schema)
        most = replace(answer, prompt_tokens=prompt_tokens, completion_tokens=len(answer.text.encode()))
        found.append(replace(answer, dollars=dollars(most, price)))
    return found


def most_dollars(request: Request, samples: int, price: Price | None, batch: bool = False) -> float:
    """A bound on what one call costs that asks for so many samples, in US dollars; 0 without a price.

    The prompt is charged once, whatever the samples, and each sample is as long as it may get.
    """
    if price is None:
        return 0.0
    prompt, completion, _, cache_write = _prices(price, batch)
    prompt_tokens = prompt_tokens_at_most(request.messages, request.json_schema)
    completion_tokens = request.generation.max_tokens * samples
    return (prompt_tokens * max(prompt, cache_write) + completion_tokens * completion) / TOKENS_PER_PRICE


def tokens_used(answers: Sequence[Answer], prompt_tokens: float) -> float:
    """The tokens of one call, prompt and answers together, as its answers tell them.

    Some servers tell none: then `prompt_tokens` are reckoned with, and about as many for the answers as they have.
    """
    told = sum(answer.prompt_tokens + answer.completion_tokens for answer in answers)
    characters = sum(len(answer.text) for answer in answers)
    return told or (prompt_tokens + characters / CHARACTERS_PER_TOKEN if characters else 0.0)


def tokens_at_most(request: Request, samples: int) -> int:
    """A bound on the tokens, prompt and answers together, of one call that asks for so many samples."""
    return prompt_tokens_at_most(request.messages, request.json_schema) + request.generation.max_tokens * samples


def prompt_tokens_at_most(messages: Sequence[Message], schema: dict[str, Any] | None) -> int:
    """A bound on the tokens of a prompt, for every vendor's tokenizer.

    Tokenizers that fall back on bytes make at most one token of a byte of UTF-8.
    """
    turns = sum(len(message["content"].encode()) + TOKENS_PER_TURN for message in messages)
    return turns + (len(canonical(schema).encode()) + TOKENS_FOR_A_SCHEMA if schema is not None else 0)


def prompt_tokens_expected(messages: Sequence[Message], schema: dict[str, Any] | None) -> int:
    """About how many tokens a prompt has."""
    characters = sum(len(message["content"]) for message in messages)
    characters += len(canonical(schema)) if schema is not None else 0
    return -(-characters // CHARACTERS_PER_TOKEN)


def _prices(price: Price, batch: bool) -> tuple[float, float, float, float]:
    """Prices of prompt, completion, cached prompt and cache write, in dollars per `TOKENS_PER_PRICE`."""
    prompt, completion = price.prompt, price.completion
    cached = prompt if price.cached_prompt is None else price.cached_prompt
    cache_write = prompt if price.cache_write is None else price.cache_write
    if not batch:
        return prompt, completion, cached, cache_write
    in_batch = prompt if price.batch_prompt is None else price.batch_prompt
    completion = completion if price.batch_completion is None else price.batch_completion
    cached = min(cached, in_batch) if price.batch_cached_prompt is None else price.batch_cached_prompt
    # A batch takes the same share off every token (Anthropic's documentation of its prices).
    cache_write = cache_write * (in_batch / prompt) if prompt else cache_write
    return in_batch, completion, cached, cache_write
