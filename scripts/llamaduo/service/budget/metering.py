"""What a step's answers cost, as the journal has them: each answer once, whatever the step made of it."""

from collections.abc import Iterable, Sequence
from typing import Any

from llamaduo.config.services import ServiceSettings
from llamaduo.service.interface import Answer, Outcome, Request
from llamaduo.service.journal import identity
from llamaduo.storage.tables import Row

NAMES = ("task", "generator", "model", "volume", "chunk")
"""What a step may be about."""


def metered(
    role: str,
    name: str,
    service: ServiceSettings,
    requests: Sequence[Request],
    outcomes: Sequence[Outcome[Any]],
    about: dict[str, str | int],
) -> Row:
    """The row of `schemas.costs` for a step that asked the service `name` these requests, in a role.

    `about`: what the step is about, by `NAMES`. The answers' dollars are those of the day they were paid for.
    """
    # Requests of equal content and replicate share their answers.
    distinct = {identity.key(service, request, 0): outcome for request, outcome in zip(requests, outcomes, strict=True)}
    answers = [answer for outcome in distinct.values() for answer in outcome.answers]
    return {
        **about,
        "role": role,
        "services": name,
        "providers": service.provider,
        "service_models": service.model,
        "simulated": service.is_simulated,
        "calls": calls_of(answers),
        "answers": len(answers),
        "repeated": len(answers) - sum(1 for outcome in distinct.values() if outcome.answers),
        "batch_answers": sum(answer.batch for answer in answers),
        "prompt_tokens": sum(answer.prompt_tokens for answer in answers),
        "cached_tokens": sum(answer.cached_tokens for answer in answers),
        "cache_write_tokens": sum(answer.cache_write_tokens for answer in answers),
        "completion_tokens": sum(answer.completion_tokens for answer in answers),
        # In the order of the answers, so that equal journals give equal sums.
        "dollars": sum(answer.dollars or 0.0 for answer in answers),
        "unpriced": sum(answer.dollars is None for answer in answers),
    }


def calls_of(answers: Iterable[Answer]) -> int:
    """How many calls gave these answers: the first of a call bears its prompt, further samples have none.

    A server that counts no tokens at all leaves each answer to be a call.
    """
    return sum(answer.prompt_tokens > 0 or answer.completion_tokens == 0 for answer in answers)
