"""What calls cost, and that a budget is never exceeded."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import answering_server, ask, completion, lines, question
from vendor_server import Reaction, VendorServer

from llamaduo.cli.errors import InputError
from llamaduo.config.services import Price
from llamaduo.service.interface import BudgetReached

PRICE = Price(prompt=1.0, completion=2.0)
DOLLARS_PER_CALL = (7 * PRICE.prompt + 3 * PRICE.completion) / 1e6


@pytest.fixture
def server() -> Iterator[VendorServer]:
    with answering_server() as running:
        yield running


class Purse:
    """A budget in memory."""

    def __init__(self, dollars: float) -> None:
        self.left = dollars
        self.spent = self.lost = 0.0
        self.reserved = 0

    def reserve(self, dollars: float) -> None:
        if dollars > self.left:
            raise BudgetReached(f"only ${self.left:.6f} are left")
        self.left -= dollars
        self.reserved += 1

    def settle(self, reserved: float, spent: float, lost: float = 0.0) -> None:
        self.left += reserved - spent - lost
        self.lost += lost
        self.spent += spent
        self.reserved -= 1


def test_every_answer_tells_what_it_cost(server: VendorServer, tmp_path: Path) -> None:
    purse = Purse(1.0)

    outcomes = ask(server, tmp_path, [question("a"), question("b")], price=PRICE, budget=purse)

    assert [answer.dollars for outcome in outcomes for answer in outcome.answers] == [DOLLARS_PER_CALL] * 2
    assert [line["answer"]["dollars"] for line in lines(tmp_path)] == [DOLLARS_PER_CALL] * 2
    assert purse.spent == pytest.approx(2 * DOLLARS_PER_CALL)
    assert purse.reserved == 0


def test_the_budget_is_never_exceeded_and_all_of_it_that_serves_is_used(server: VendorServer, tmp_path: Path) -> None:
    """A call may cost far more than it does: near the end fewer are in flight, until not even one would fit."""
    most = (len("q00") + 16 + 100 * 2.0) / 1e6
    purse = Purse(most + 20 * DOLLARS_PER_CALL)
    requests = [question(f"q{number:02}") for number in range(60)]

    with pytest.raises(InputError, match=r"service s .*only \$0\.000\d+ are left"):
        ask(server, tmp_path, requests, price=PRICE, budget=purse, concurrency=8)

    assert 20 <= len(lines(tmp_path)) <= 22
    assert purse.spent == pytest.approx(len(lines(tmp_path)) * DOLLARS_PER_CALL)
    assert purse.left >= 0
    assert purse.reserved == 0

    outcomes = ask(server, tmp_path, requests, price=PRICE, budget=Purse(1.0))
    assert all(outcome.value for outcome in outcomes)
    assert Counter(call.body["messages"][0]["content"] for call in server.received).most_common(1)[0][1] == 1


def test_answers_reach_the_journal_although_they_cannot_be_booked(server: VendorServer, tmp_path: Path) -> None:
    class Torn(Purse):
        def settle(self, reserved: float, spent: float, lost: float = 0.0) -> None:
            raise InputError("the budget's claims cannot be written")

    with pytest.raises(InputError, match="claims cannot be written"):
        ask(server, tmp_path, [question(f"q{number}") for number in range(20)], budget=Torn(1.0), concurrency=4)

    assert len(lines(tmp_path)) == server.answered
    assert 1 <= server.answered < 20

    with pytest.raises(InputError, match="claims cannot be written"):
        ask(server, tmp_path, [question("the last")], budget=Torn(1.0))
    assert len(lines(tmp_path)) == server.answered


def test_failed_tries_cost_nothing(server: VendorServer, tmp_path: Path) -> None:
    purse = Purse(1.0)
    server.react = lambda request, number: Reaction(status=500) if number < 2 else completion(request)

    ask(server, tmp_path, [question("a")], price=PRICE, budget=purse)

    assert purse.spent == pytest.approx(DOLLARS_PER_CALL)
    assert (purse.lost, purse.reserved) == (0, 0)


def test_answers_that_are_lost_on_the_way_may_have_been_charged(server: VendorServer, tmp_path: Path) -> None:
    purse = Purse(1.0)
    server.react = lambda request, number: Reaction(cut="length") if number < 2 else completion(request)

    ask(server, tmp_path, [question("a")], price=PRICE, budget=purse)

    assert purse.spent == pytest.approx(DOLLARS_PER_CALL)
    assert purse.lost == pytest.approx(2 * (len("a") + 16 + 100 * 2.0) / 1e6)
    assert purse.reserved == 0
