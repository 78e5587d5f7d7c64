"""A budget that all steps of a workflow keep together, whatever their services, hosts and deaths.

Every step claims dollars before it spends them, in one file that only grows and is written under a lock. A step claims
a block at a time and counts its calls inside of it, so that the lock is not taken per call. What a step has spent is
derived from its journal, the truth, when it is opened. What it has taken so far, calls in flight included, stands
in a small file of its own: after a kill, what of that is not in the journal may have been charged, and counts as lost.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from llamaduo.config.budget import BudgetSettings
from llamaduo.config.services import Price, ServiceSettings
from llamaduo.service.budget.claims import Claim, Claims, OpenClaims
from llamaduo.service.budget.cost import priced
from llamaduo.service.interface import BudgetReached
from llamaduo.service.journal.reading import Record, read_records
from llamaduo.storage.canonical import digest

BLOCK_SHARE = 0.01
"""The most that a step claims beyond its next call, as a share of the budget."""
SHARE_OF_THE_REST = 0.125
"""And as a share of what is left of it, so that near the end steps do not keep from each other what none needs."""
FLIGHT_WIDTH = 32


class Ledger:
    """The budget as one step sees it, which asks one service and writes one journal.

    Opens itself at the first reservation, when the step has its journal to itself. Each call may come from one thread
    at a time.
    """

    def __init__(self, settings: BudgetSettings, journal: Path, service: ServiceSettings) -> None:
        self._settings, self._journal, self._simulated = settings, journal, service.is_simulated
        self._claims = Claims(settings.folder / "claims.jsonl")
        self._name = _name_of(journal, settings.journals)
        self._flight_file = settings.folder / "in-flight" / digest([self._name, self._simulated])
        self._flight: int | None = None
        self._in_flight = self._spent = self._lost = self._claimed = self._told = self._told_lost = 0.0

    def reserve(self, dollars: float) -> None:
        """Set aside what a call may cost at most, before it is sent. Raises `BudgetReached`."""
        if self._flight is None:
            self._open()
        if self._taken() + dollars > self._claimed:
            self._claim(dollars)
        self._in_flight += dollars
        self._note_flight()

    def settle(self, reserved: float, spent: float, lost: float = 0.0) -> None:
        """Give back what was reserved for a call, and book what it did cost; 0 when it was not answered.

        `lost`: what may have been charged for it although no answer came; it stays booked.
        """
        if self._flight is None:
            self._open()
        self._in_flight = max(self._in_flight - reserved, 0.0)
        self._spent += spent
        self._lost += lost
        if self._taken() > self._claimed:
            # It is spent, and must count even when it is more than the budget has left.
            with self._claims.held() as claims:
                self._claimed = self._taken()
                self._write(claims)
        self._note_flight()

    def hold(self, name: str, dollars: float) -> None:
        """Set aside what a batch may cost at most, until `release`, whichever process does that.

        A batch that is held already keeps what it has. Raises `BudgetReached`.
        """
        with self._claims.held() as claims:
            _count_journals(claims, self._settings, self._simulated)
            claim = Claim(_name_of_batch(name), self._simulated, dollars)
            held = claims.of(self._simulated).get(claim.name)
            if held is None or not held.claimed:
                self._left(claims, dollars, others=claims.total(self._simulated), own=0.0)
                claims.write([claim])

    def reduce(self, name: str, dollars: float) -> None:
        """Let a batch that has ended hold no more than it did cost, which counts whatever the budget has left."""
        with self._claims.held() as claims:
            claims.write([Claim(_name_of_batch(name), self._simulated, dollars)])

    def release(self, name: str) -> None:
        """Give back what a batch was held, after its answers are in a journal or it has failed."""
        with self._claims.held() as claims:
            # What the batch did cost counts from the same moment on.
            _count_journals(claims, self._settings, self._simulated)
            claims.write([Claim(_name_of_batch(name), self._simulated, 0.0)])

    def settle_earlier(self) -> None:
        """Give back what an earlier, killed process of this step had claimed; for a step that needed no call."""
        if self._flight is None and self._flight_file.exists():
            self._open()

    def close(self) -> None:
        """Give back what was claimed and not spent. Calls still in flight count as lost."""
        if self._flight is None:
            return
        with self._claims.held() as claims:
            self._lost += self._in_flight
            self._in_flight, self._claimed = 0.0, self._spent + self._lost
            self._write(claims, size=_size(self._journal))
        os.close(self._flight)
        self._flight_file.unlink(missing_ok=True)
        self._flight = None

    def _open(self) -> None:
        with self._claims.held() as claims:
            _count_journals(claims, self._settings, self._simulated)
            earlier = claims.of(self._simulated).get(self._name)
            self._spent = _spent_in(self._journal, self._settings, self._simulated)
            self._lost = earlier.lost if earlier else 0.0
            if earlier is not None and earlier.size is None:
                self._lost += max(_taken_by(self._flight_file, earlier) - self._spent, 0.0)
            self._claimed = self._taken()
            self._flight_file.parent.mkdir(parents=True, exist_ok=True)
            self._flight = os.open(self._flight_file, os.O_RDWR | os.O_CREAT, 0o666)
            self._write(claims)
            self._note_flight()

    def _claim(self, dollars: float) -> None:
        with self._claims.held() as claims:
            others = claims.total(self._simulated, without=self._name)
            left = self._left(claims, dollars, others, own=self._taken())
            block = min(BLOCK_SHARE * self._settings.dollars, SHARE_OF_THE_REST * left)
            self._claimed = self._taken() + dollars + block
            self._write(claims)

    def _left(self, claims: OpenClaims, dollars: float, others: float, own: float) -> float:
        """What is left of the budget after a call of `dollars`. Raises `BudgetReached` when that is too much."""
        left = self._settings.dollars - others - own - dollars
        if left < 0:
            spent = min(claims.spent(self._simulated) + max(self._spent - self._told, 0.0), others + own)
            word = "simulated dollars" if self._simulated else "dollars"
            raise BudgetReached(
                f"budget_usd is reached: of {self._settings.dollars:,.2f} {word} {spent:,.2f} are spent, "
                f"{others + own - spent:,.2f} are reserved for calls under way, and the next one may cost up to "
                f"{dollars:,.4f}. It was not sent; what was answered is kept. Raise budget_usd in the config and start "
                "the same command again"
            )
        return left

    def _taken(self) -> float:
        return self._spent + self._lost + self._in_flight

    def _write(self, claims: OpenClaims, size: int | None = None) -> None:
        claims.write([Claim(self._name, self._simulated, self._claimed, self._spent, self._lost, size)])
        self._told, self._told_lost = self._spent, self._lost

    def _note_flight(self) -> None:
        # No sync: what a killed process wrote is in the kernel's hands, and a lost node loses little of it.
        assert self._flight is not None
        taken = self._spent + self._in_flight + self._lost - self._told_lost
        os.pwrite(self._flight, f"{taken:.9f}".rjust(FLIGHT_WIDTH).encode(), 0)


@contextmanager
def opened(settings: BudgetSettings | None, journal: Path, service: ServiceSettings) -> Iterator[Ledger | None]:
    """The ledger of a step that asks `service` and writes `journal`; None where there is no budget."""
    if settings is None:
        yield None
        return
    ledger = Ledger(settings, journal, service)
    try:
        yield ledger
        ledger.settle_earlier()
    finally:
        ledger.close()


def _count_journals(claims: OpenClaims, settings: BudgetSettings, simulated: bool) -> None:
    """Claim what stands in journals and was not claimed: those of steps that knew of no budget."""
    known = claims.of(simulated)
    found = []
    for journal in sorted(settings.journals.rglob("*.jsonl")):
        name = _name_of(journal, settings.journals)
        claim = known.get(name)
        size = _size(journal)
        if claim is not None and claim.size == size:
            continue
        spent = _spent_in(journal, settings, simulated)
        lost, claimed = (claim.lost, claim.claimed) if claim else (0.0, 0.0)
        # A step that is at work stays so.
        at_work = claim is not None and claim.size is None
        if not at_work or spent + lost > claimed:
            # Also when nothing but the size has changed, as by compaction: else it would be read again by every step.
            found.append(Claim(name, simulated, max(spent + lost, claimed), spent, lost, None if at_work else size))
    claims.write(found)


def _spent_in(journal: Path, settings: BudgetSettings, simulated: bool) -> float:
    """What the answers in a journal cost, in US dollars, those of simulated services or the others."""
    records = (record for record in read_records(journal) if record.is_simulated == simulated)
    return sum(_dollars_of(record, settings.prices) for record in records)


def _dollars_of(record: Record, prices: Mapping[str, Price]) -> float:
    request, answer = record.request, record.answer
    if answer.dollars is not None:
        return answer.dollars
    price = prices.get(f"{request.get('provider')}/{request.get('model')}")
    return priced([answer], request.get("messages", ()), request.get("schema"), price)[0].dollars or 0.0


def _taken_by(file: Path, claim: Claim) -> float:
    """What a killed step had spent and had in flight, in US dollars; all that it had claimed where it is not known."""
    with suppress(OSError, ValueError):
        return float(file.read_text())
    return claim.claimed - claim.lost


def _name_of(journal: Path, journals: Path) -> str:
    """The journal's place below the folder of all journals."""
    return Path(os.path.relpath(journal, journals)).as_posix()


def _name_of_batch(name: str) -> str:
    return f"batch {name}"


def _size(journal: Path) -> int:
    with suppress(FileNotFoundError):
        return journal.stat().st_size
    return 0
