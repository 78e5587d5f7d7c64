"""What a step is told of the workflow's budget; the workflow makes it of `budget_usd`, `state` and `services`."""

from pathlib import Path

from pydantic import Field

from llamaduo.config.base import Section
from llamaduo.config.services import Price


class BudgetSettings(Section):
    """The budget that all steps of a workflow keep together."""

    dollars: float = Field(ge=0)
    """Most US dollars that all services may charge. Simulated ones are summed up apart, under the same bound."""
    folder: Path
    """Where the steps keep their claims."""
    journals: Path
    """The folder of all journals, whose answers were paid for."""
    prices: dict[str, Price] = Field(default={})
    """Prices by provider/model, for answers that were recorded before their price was known."""
