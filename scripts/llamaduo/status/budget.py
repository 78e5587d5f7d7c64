"""What is left of the budget, and what vendors' batches may still cost."""

from collections.abc import Sequence
from pathlib import Path

from llamaduo.config.root import Config
from llamaduo.service.batches.records import steps_below
from llamaduo.service.budget.claims import Claim, read_claims
from llamaduo.service.budget.usage import Usage
from llamaduo.workflow.layout import State


def budget_lines(config: Config) -> list[str]:
    """One line per budget: that of real services and, where there are any, that of simulated ones; and the batches."""
    lines = []
    claims = read_claims(State(Path(config.state)).ledger / "claims.jsonl")
    for simulated in (False, True):
        own = [claim for claim in claims if claim.simulated == simulated]
        if config.budget_usd is not None and (own or not simulated):
            lines.append(_budget(config.budget_usd, own, "simulated dollars" if simulated else "dollars"))
    return lines + _batches(config)


def _budget(dollars: float, claims: Sequence[Claim], word: str) -> str:
    """The claims of one kind of services on the budget, as the steps have last told them."""
    spent, lost, claimed = (sum(getattr(claim, name) for claim in claims) for name in ("spent", "lost", "claimed"))
    parts = [f"{spent:,.2f} spent"]
    parts += [f"{lost:,.2f} for calls whose answers were lost"] if lost else []
    reserved = claimed - spent - lost
    if reserved > 0:
        places = [claim.name for claim in claims if claim.claimed > claim.spent + claim.lost]
        parts.append(f"{reserved:,.2f} reserved by what is under way ({', '.join(sorted(places))})")
    return f"budget_usd: of {dollars:,.2f} {word} {', '.join(parts)}, {max(dollars - claimed, 0.0):,.2f} left"


def _batches(config: Config) -> list[str]:
    """The batches whose answers are in no journal yet, and the most that they may cost."""
    count, most = 0, Usage()
    for step in steps_below(State(Path(config.state)).batches):
        service = config.services.get(step.service or "")
        for batch in step.open_batches():
            count += 1
            most.charge(batch.facts.dollars, service is not None and service.is_simulated)
    if not count:
        return []
    return [f"batches under way or to be collected: {count}, of {most.money} dollars at most"]
