"""The section `judging`: how often, by which metrics and how strictly the judges grade the responses."""

import re
from typing import Self

from pydantic import Field, model_validator

from llamaduo.config.base import LowPercent, Section

METRIC_NAME = re.compile(r"[a-z][a-z0-9_]*")
"""A metric's name becomes a key of the judge's answer and part of column names."""

MOST_GRADES = 1000


class JudgingSettings(Section):
    """How every judge grades every response. Which services judge, the top-level key `judges` says."""

    UNCOMPARED = {"maximum_ungraded": "whether the grades are let through"}

    grades: int = Field(default=10, ge=1, le=MOST_GRADES)
    """M: how often each judge grades each response. Raising it asks for the new grades only."""
    metrics: list[str] = Field(default=["similarity", "precision"])
    """What is graded, 0 to 100 each; each needs a text under [judge.metrics] in prompts.toml. One call gives all."""
    share_identical: bool = True
    """Whether identical responses to one prompt share their grades, which are then paid for once."""
    maximum_ungraded: LowPercent = Field(default=5.0, ge=0, le=100)
    """Most grades, in percent, that may be missing (refused or never well formed); with more, the step fails."""

    @model_validator(mode="after")
    def _metrics(self) -> Self:
        if not self.metrics:
            raise ValueError("metrics: empty; name at least one metric, for example similarity")
        for name in self.metrics:
            if not METRIC_NAME.fullmatch(name):
                raise ValueError(f"metrics: {name!r} is no metric name; use small letters, digits and underscores")
        if len(set(self.metrics)) < len(self.metrics):
            raise ValueError("metrics: the same metric twice")
        return self
