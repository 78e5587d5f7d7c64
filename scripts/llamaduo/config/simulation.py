"""The section `services.NAME.simulation`: how the simulated service behaves, and what goes wrong in it on purpose."""

from typing import Literal, Self

from pydantic import Field, model_validator

from llamaduo.config.base import PathText, Section


class Faults(Section):
    """What goes wrong on purpose in the simulated service; each the share of requests that it happens to, 0 to 1."""

    rate_limit: float = Field(default=0.0, ge=0, le=1)
    """Answered with status 429 and a Retry-After header."""
    server_error: float = Field(default=0.0, ge=0, le=1)
    """Answered with status 500."""
    malformed: float = Field(default=0.0, ge=0, le=1)
    """Answered with text that is not the JSON asked for."""
    dropped: float = Field(default=0.0, ge=0, le=1)
    """The connection is closed in the middle of the answer."""
    refusal: float = Field(default=0.0, ge=0, le=1)
    """Refused by the model."""
    overloaded: float = Field(default=0.0, ge=0, le=1)
    """Answered with status 529 (Gemini: 503)."""
    timeout: float = Field(default=0.0, ge=0, le=1)
    """Not answered until the client gives up."""
    broken_body: float = Field(default=0.0, ge=0, le=1)
    """The answer, of no announced length, ends in the middle."""
    truncated: float = Field(default=0.0, ge=0, le=1)
    """Cut off in the middle by the limit of tokens, and says so."""

    @model_validator(mode="after")
    def _at_most_all(self) -> Self:
        if sum(getattr(self, name) for name in type(self).model_fields) > 1:
            raise ValueError("the faults' shares add up to more than 1")
        return self


class BatchSimulation(Section):
    """How the simulated service's batches go."""

    seconds: float = Field(default=0.0, ge=0)
    """How long a batch takes."""
    expired: float = Field(default=0.0, ge=0, le=1)
    """Share of a batch's calls that are not answered in time; in the third batch at the latest they are."""
    errors: float = Field(default=0.0, ge=0, le=1)
    """Share of a batch's calls that end in a server error; in the third batch at the latest they do not."""
    failed: int = Field(default=0, ge=0)
    """So many batches, the first ones, are not taken (Anthropic's: every call in them ends in a server error)."""


class Simulation(Section):
    """The behaviour of the simulated service."""

    latency_seconds: float = Field(default=0.0, ge=0)
    """How long it waits before it answers."""
    faults: Faults = Faults()
    """What goes wrong on purpose."""
    batches: BatchSimulation = BatchSimulation()
    """How its batches go."""
    log: PathText | None = None
    """File to which it appends one line per request that it served; null keeps none."""
    seed: int = 0
    """Changes its answers and its faults."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Most requests that it takes within any minute; those beyond are answered with status 429."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """Most tokens, of prompts and answers together, within any minute; requests beyond get status 429."""
    key: str | None = Field(default=None, min_length=1)
    """The only API key that it takes; null takes any."""
    models: list[str] | None = None
    """The models that it knows; null knows all."""
    quota: int | None = Field(default=None, ge=0)
    """How many requests it answers before the account has no credit left; null: endlessly many."""
    reply: Literal["rule", "fixed"] = "rule"
    """rule: answers as a generator, judge or assistant would; fixed: the same to everything, to measure a client."""
