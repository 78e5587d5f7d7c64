"""Calls, tokens and dollars of service LLMs, added up in one way wherever they are counted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llamaduo.config.services import ServiceSettings
from llamaduo.service.interface import Answer, Outcome, Request
from llamaduo.service.journal import identity
from llamaduo.storage.tables import Row

COUNTS = ("calls", "answers", "repeated", "batch_answers")
TOKENS = ("prompt_tokens", "cached_tokens", "cache_write_tokens", "completion_tokens")
DOLLARS = ("dollars", "unpriced", "simulated_dollars", "simulated_unpriced")
OTHERS = ("cut", "refused")


@dataclass
class Usage:
    """What answers add up to: the columns of `schemas.costs`, tokens as the vendor counted them, US dollars.

    `cut`: answers that ran into their limit. `refused`: by the model or the vendor's filter. `unpriced`: answers
    whose price was not known. Dollars and unpriced answers of simulated services, which charge nobody, are apart.
    `first`, `last`: the answers' dates, UTC, ISO 8601; empty where there is no answer.
    """

    calls: int = 0
    answers: int = 0
    repeated: int = 0
    batch_answers: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0
    unpriced: int = 0
    simulated_dollars: float = 0.0
    simulated_unpriced: int = 0
    cut: int = 0
    refused: int = 0
    first: str = ""
    last: str = ""

    def add(self, answer: Answer, attempt: int, simulated: bool) -> None:
        """Count one answer, the `attempt`-th (from 0) to its request."""
        # The first answer of a call bears its prompt; a server that counts no tokens leaves each to be a call.
        self.calls += answer.prompt_tokens > 0 or not answer.completion_tokens
        self.answers += 1
        self.repeated += attempt > 0
        self.batch_answers += answer.batch
        self.prompt_tokens += answer.prompt_tokens
        self.cached_tokens += answer.cached_tokens
        self.cache_write_tokens += answer.cache_write_tokens
        self.completion_tokens += answer.completion_tokens
        self.charge(answer.dollars, simulated)
        self.cut += answer.stop_reason == "length"
        self.refused += answer.stop_reason in ("refusal", "filtered")
        self.first = min(self.first or answer.date, answer.date)
        self.last = max(self.last, answer.date)

    def charge(self, dollars: float | None, simulated: bool) -> None:
        """Count dollars, or with None an unknown price."""
        if simulated:
            self.simulated_dollars += dollars or 0.0
            self.simulated_unpriced += dollars is None
        else:
            self.dollars += dollars or 0.0
            self.unpriced += dollars is None

    def __add__(self, other: "Usage") -> "Usage":
        sums = {name: getattr(self, name) + getattr(other, name) for name in (*COUNTS, *TOKENS, *DOLLARS, *OTHERS)}
        first = min(self.first or other.first, other.first or self.first)
        return Usage(**sums, first=first, last=max(self.last, other.last))

    @property
    def is_charged(self) -> bool:
        """Whether it cost anything, or may have."""
        return bool(self.dollars or self.simulated_dollars or self.unpriced)

    @property
    def money(self) -> str:
        """Dollars, simulated ones marked; a question mark where a real service's price is not known."""
        parts = [f"{self.dollars:,.2f}"] if self.dollars else []
        parts += [f"{self.simulated_dollars:,.2f} simulated"] if self.simulated_dollars else []
        parts += ["?"] if self.unpriced else []
        return " + ".join(parts) or "0.00"

    @classmethod
    def of_row(cls, row: Row) -> "Usage":
        """The usage in a row of `schemas.costs`."""
        kind = "simulated_" if row["simulated"] else ""
        dollars = {f"{kind}{name}": row[name] for name in ("dollars", "unpriced")}
        return cls(**{name: row[name] for name in (*COUNTS, *TOKENS)}, **dollars)

    def to_row(self) -> Row:
        """The columns of `schemas.costs` that it fills; of one service, so that all dollars are of one kind."""
        return {
            **{name: getattr(self, name) for name in (*COUNTS, *TOKENS)},
            "dollars": self.dollars + self.simulated_dollars,
            "unpriced": self.unpriced + self.simulated_unpriced,
        }


def total(usages: Iterable[Usage]) -> Usage:
    """The sum of usages."""
    return sum(usages, Usage())


def costs_row(
    role: str,
    name: str,
    service: ServiceSettings,
    requests: Sequence[Request],
    outcomes: Sequence[Outcome[Any]],
    about: Mapping[str, str | int],
) -> Row:
    """The row of `schemas.costs` for a step that asked the service `name` these requests, in a role.

    Each answer counts once, whatever the step made of it. `about`: task, generator, model, volume and chunk, as far
    as the step has them. The dollars are those of the day the answers were paid for.
    """
    # Requests of equal content and replicate share their answers.
    distinct = {identity.key(service, request, 0): outcome for request, outcome in zip(requests, outcomes, strict=True)}
    usage = Usage()
    for outcome in distinct.values():
        for attempt, answer in enumerate(outcome.answers):
            usage.add(answer, attempt, service.is_simulated)
    return {
        **about,
        "role": role,
        "services": name,
        "providers": service.provider,
        "service_models": service.model,
        "simulated": service.is_simulated,
        **usage.to_row(),
    }
