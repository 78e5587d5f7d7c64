"""Usage: answers, rows of costs and usages add up to the same, and dollars nobody is charged stay apart."""

from dataclasses import replace

import pytest

from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.models.messages import Message
from llamaduo.service.budget.usage import Usage, costs_row, total
from llamaduo.service.interface import Answer, Outcome, Request
from llamaduo.storage.schemas.costs import COSTS

FIRST = Answer("a", "stop", 900, 100, "2026-01-31T12:00:00Z", cached_tokens=800, cache_write_tokens=50, dollars=0.25)
FURTHER = replace(FIRST, prompt_tokens=0, cached_tokens=0, cache_write_tokens=0, date="2026-01-31T13:00:00Z")
CUT = replace(FIRST, stop_reason="length", batch=True, dollars=None, date="2026-02-01T09:00:00Z")
REFUSED = replace(FIRST, stop_reason="refusal", prompt_tokens=0, completion_tokens=0, dollars=0.5)
GIVEN = ((FIRST, 0, False), (FURTHER, 0, False), (CUT, 1, False), (REFUSED, 0, True))


def usage(*given: tuple[Answer, int, bool]) -> Usage:
    found = Usage()
    for answer, attempt, simulated in given:
        found.add(answer, attempt, simulated)
    return found


def test_answers_add_up() -> None:
    assert usage(*GIVEN) == Usage(
        calls=3,  # a call's further samples bear no prompt; a server may count no tokens at all
        answers=4,
        repeated=1,
        batch_answers=1,
        prompt_tokens=1800,
        cached_tokens=2400,
        cache_write_tokens=150,
        completion_tokens=300,
        dollars=0.5,
        unpriced=1,
        simulated_dollars=0.5,
        cut=1,
        refused=1,
        first="2026-01-31T12:00:00Z",
        last="2026-02-01T09:00:00Z",
    )


@pytest.mark.parametrize("split", range(5))
def test_usages_add_up_to_that_of_all_answers(split: int) -> None:
    assert usage(*GIVEN[:split]) + usage(*GIVEN[split:]) == usage(*GIVEN)
    assert total(usage(one) for one in GIVEN) == usage(*GIVEN)


@pytest.mark.parametrize("simulated", [False, True])
def test_a_row_of_costs_counts_each_answer_once_and_is_read_as_it_was_written(simulated: bool) -> None:
    service = ServiceSettings(provider="openai", model="m", base_url="simulated" if simulated else None)
    generation = Generation(max_tokens=10)
    one, other = (Request((Message(role="user", content=text),), None, generation) for text in "ab")
    outcome = Outcome("x", (CUT, FIRST), None)

    row = costs_row("judge", "s", service, [one, other, one], [outcome, Outcome("y", (FURTHER,), None), outcome], {})

    expected = usage((CUT, 0, simulated), (FIRST, 1, simulated), (FURTHER, 0, simulated))
    assert {field.name for field in COSTS if not field.nullable} <= row.keys()
    assert (row["calls"], row["answers"], row["repeated"], row["dollars"], row["unpriced"]) == (2, 3, 1, 0.5, 1)
    assert Usage.of_row(row) == replace(expected, cut=0, first="", last="")


def test_dollars_are_shown_by_who_was_charged() -> None:
    assert (Usage().money, Usage().is_charged) == ("0.00", False)
    assert Usage(dollars=1.5, simulated_dollars=2.0, unpriced=1).money == "1.50 + 2.00 simulated + ?"
    assert (Usage(simulated_unpriced=3).money, Usage(simulated_unpriced=3).is_charged) == ("0.00", False)
