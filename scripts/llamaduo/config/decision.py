"""The sections `metrics` and `decision`: what is computed from the grades, and when a run has converged."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from llamaduo.config.base import Percent, Score, Section


class MetricsSettings(Section):
    """How the grades become V and C, with their intervals (arXiv 2408.13467, equations 3 to 5)."""

    over_grades: Literal["mean", "median"] = "mean"
    """How a response's score is made of its M grades."""
    zeta: list[Score] = Field(default=[50.0, 70.0])
    """The scores, 0 to 100, that count as good enough: C at zeta is the percentage of responses that reach it."""
    confidence: Percent = Field(default=95.0, ge=50, lt=100)
    """Confidence of the bootstrap intervals, in percent."""
    bootstrap_samples: int = Field(default=10_000, ge=100, le=1_000_000)
    """How often the test prompts are drawn anew for an interval."""
    seed: int = Field(default=42, ge=0)
    """Seed of these draws."""

    @model_validator(mode="after")
    def _zeta(self) -> Self:
        if len(set(self.zeta)) < len(self.zeta):
            raise ValueError("zeta: the same value twice")
        return self


class ShareOfService(Section):
    """A threshold relative to what the service LLM itself is given by the same judge."""

    share_of_service: Percent = Field(gt=1, le=200)
    """Percent of the service LLM's own value: 90 means that a tenth below it is good enough."""


def _kind(threshold: Any) -> str:
    return "share" if isinstance(threshold, dict | ShareOfService) else "absolute"


Threshold = Annotated[Annotated[Score, Tag("absolute")] | Annotated[ShareOfService, Tag("share")], Discriminator(_kind)]
"""Epsilon of one criterion: an absolute value, 0 to 100, or a share of the service's own."""


class Epsilon(Section):
    """What V and C have to reach; null leaves one out."""

    mean: Threshold | None = ShareOfService(share_of_service=90)
    """For V, the mean score: 0 to 100, or {share_of_service: percent}; null leaves V out."""
    coverage: Threshold | None = ShareOfService(share_of_service=90)
    """For C at the zeta named: 0 to 100, or {share_of_service: percent}; null leaves C out."""

    @property
    def is_empty(self) -> bool:
        return self.mean is None and self.coverage is None


class DecisionSettings(Section):
    """When a run has converged: for every metric, V and C (at zeta) reach their epsilon.

    The preset asks for 90 % of the service LLM's own V and of its own C at zeta 70. The original's absolute 90 is
    reached by 1 of the 16 models in the paper's table of precision at 128k samples (and the service itself stays
    under it in classification, with 87.5); 95 % of the service's own value would be reached by 2 of 16. At 90 % it
    is 8 of 16, at least one in every task, and never the smallest model: the criterion parts the models. A share
    also moves with the judge and the task, whose levels differ by more than the models do. C is taken at 70
    because at 50 all tuned models are near the ceiling, and with the same share because the K responses of 15 to
    25 test prompts leave C in steps of 1 to 2 points.
    """

    epsilon: Epsilon = Epsilon()
    """The thresholds for all metrics."""
    per_metric: dict[str, Epsilon] = Field(default={})
    """Other thresholds for single metrics, by name; a metric with both null does not count."""
    zeta: Score = 70.0
    """The zeta of the C that has to reach its epsilon; one of the section metrics' zeta."""
    judges: Literal["mean", "all", "any"] = "mean"
    """Over the judges: their mean, every judge, or at least one judge that finds everything good enough."""
    estimate: Literal["point", "lower"] = "point"
    """What has to reach epsilon: the value itself, or the lower bound of its interval (stricter)."""

    @model_validator(mode="after")
    def _something_to_decide_by(self) -> Self:
        if self.epsilon.is_empty and all(epsilon.is_empty for epsilon in self.per_metric.values()):
            raise ValueError("epsilon: mean and coverage are both left out; at least one criterion must remain")
        return self

    @property
    def needs_service(self) -> bool:
        """Whether some threshold is a share of the service's own value, so that its baseline must be known."""
        return any(
            isinstance(threshold, ShareOfService)
            for epsilon in (self.epsilon, *self.per_metric.values())
            for threshold in (epsilon.mean, epsilon.coverage)
        )
