"""One budget for all steps: kept by processes side by side, over kills, and told from the journals."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llamaduo.config.budget import BudgetSettings
from llamaduo.config.services import Price, ServiceSettings
from llamaduo.service.budget.ledger import Ledger, opened
from llamaduo.service.interface import BudgetReached

SCRIPTS = Path(__file__).parents[2] / "scripts"
SERVICE = ServiceSettings(provider="openai", model="gpt-4o")
SIMULATED = ServiceSettings(provider="openai", model="gpt-4o", base_url="simulated")

# A step that calls until the budget is reached. Each call may cost 1 dollar at most, and costs 0.6; its answer is in
# the journal after it was settled, as in real steps. `kill`: after so many calls three are in flight, and it waits.
STEP = """
import json, os, sys, time
from pathlib import Path
from llamaduo.config.budget import BudgetSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.service.interface import BudgetReached
from llamaduo.service.budget.ledger import Ledger
journal, settings, kill = Path(sys.argv[1]), BudgetSettings.model_validate_json(sys.argv[2]), int(sys.argv[3])
ledger = Ledger(settings, journal, ServiceSettings(provider="openai", model=journal.stem))
journal.parent.mkdir(parents=True, exist_ok=True)
calls = 0
try:
    with journal.open("a") as file:
        while True:
            ledger.reserve(1.0)
            calls += 1
            if kill and calls > kill:
                if calls == kill + 3:
                    print("in flight", flush=True)
                    time.sleep(600)
                continue
            ledger.settle(1.0, 0.6)
            answer = dict(text="", stop_reason="stop", prompt_tokens=1, completion_tokens=1, date="", dollars=0.6)
            request = {"provider": "openai", "model": "m"}
            file.write(json.dumps({"key": str(calls), "request": request, "answer": answer}) + chr(10))
            file.flush()
except BudgetReached as error:
    print(error)
ledger.close()
"""


def budget(folder: Path, dollars: float, **prices: Price) -> BudgetSettings:
    return BudgetSettings(dollars=dollars, folder=folder / "ledger", journals=folder / "journal", prices=prices)


def step(folder: Path, name: str, settings: BudgetSettings, kill: int = 0) -> subprocess.Popen[str]:
    journal = settings.journals / f"{name}.jsonl"
    command = [sys.executable, "-c", STEP, str(journal), settings.model_dump_json(), str(kill)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(SCRIPTS), "PATH": ""}, cwd=folder
    )


def spent(settings: BudgetSettings) -> float:
    lines = [line for file in settings.journals.rglob("*.jsonl") for line in file.read_text().splitlines()]
    return sum(json.loads(line)["answer"]["dollars"] for line in lines)


def write_journal(settings: BudgetSettings, name: str, *dollars: float | None, simulated: bool = False) -> Path:
    path = settings.journals / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    request = {"provider": "openai", "model": "gpt-4o", **({"simulated": True} if simulated else {})}
    with path.open("a") as file:
        for number, paid in enumerate(dollars):
            tokens = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
            answer = {"text": "", "stop_reason": "stop", "date": "", "dollars": paid, **tokens}
            file.write(json.dumps({"key": str(number), "request": request, "answer": answer}) + "\n")
    return path


def test_steps_of_several_services_side_by_side_never_exceed_the_budget(tmp_path: Path) -> None:
    settings = budget(tmp_path, 60)

    steps = [step(tmp_path, f"service-{number}", settings) for number in range(4)]
    said = [each.communicate(timeout=120)[0] for each in steps]

    assert all("budget_usd is reached: of 60.00 dollars" in text for text in said), said
    assert spent(settings) <= 60
    # Each step may hold a block of 1 % beyond its call, and no call is begun that could not be paid in full.
    assert spent(settings) > 60 - 4 * (1.0 + 0.6) - 1.0


def test_what_a_killed_step_had_in_flight_counts_until_the_end_and_no_more(tmp_path: Path) -> None:
    settings = budget(tmp_path, 10)
    killed = step(tmp_path, "judge", settings, kill=2)
    assert killed.stdout is not None
    assert killed.stdout.readline().strip() == "in flight"

    killed.send_signal(signal.SIGKILL)
    killed.wait()

    # Two calls stand in the journal at 0.6, three were in flight at 1.0 and may have been charged: 5.8 are left.
    with opened(settings, settings.journals / "judge.jsonl", SERVICE) as ledger:
        assert ledger is not None
        ledger.reserve(5.8)
        with pytest.raises(BudgetReached, match=r"of 10.00 dollars 4.20 are spent, 5.80 are reserved"):
            ledger.reserve(0.01)


def test_before_its_step_starts_again_all_that_a_killed_step_claimed_is_reserved(tmp_path: Path) -> None:
    settings = budget(tmp_path, 10)
    killed = step(tmp_path, "judge", settings, kill=2)
    assert killed.stdout is not None
    killed.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    killed.wait()

    with opened(settings, settings.journals / "other.jsonl", SERVICE) as ledger:
        assert ledger is not None
        with pytest.raises(BudgetReached):
            ledger.reserve(5.81)
        ledger.reserve(5.0)


def test_what_a_step_claims_and_does_not_spend_is_there_for_the_others(tmp_path: Path) -> None:
    settings = budget(tmp_path, 10)
    with opened(settings, write_journal(settings, "first"), SERVICE) as first:
        assert first is not None
        first.reserve(9.0)
        first.settle(9.0, 2.0)

    with opened(settings, settings.journals / "second.jsonl", SERVICE) as second:
        assert second is not None
        second.reserve(8.0)
        with pytest.raises(BudgetReached):
            second.reserve(0.1)


def test_journals_from_before_there_was_a_budget_count(tmp_path: Path) -> None:
    settings = budget(tmp_path, 10, **{"openai/gpt-4o": Price(prompt=2, completion=0)})
    write_journal(settings, "paid", 3.0, 3.0)
    write_journal(settings, "unpriced", None)  # a million tokens of prompt, at 2 dollars by now

    with opened(settings, settings.journals / "new.jsonl", SERVICE) as ledger:
        assert ledger is not None
        ledger.reserve(2.0)
        with pytest.raises(BudgetReached, match=r"8.00 are spent, 2.00 are reserved"):
            ledger.reserve(0.5)

    write_journal(settings, "paid", 1.0)  # and so does what a step without the budget adds to one
    with opened(settings, settings.journals / "new.jsonl", SERVICE) as again:
        assert again is not None
        with pytest.raises(BudgetReached):
            again.reserve(1.5)


def test_simulated_dollars_are_no_real_ones(tmp_path: Path) -> None:
    settings = budget(tmp_path, 10)
    write_journal(settings, "simulated", 9.0, simulated=True)

    with opened(settings, settings.journals / "real.jsonl", SERVICE) as real:
        assert real is not None
        real.reserve(10.0)
    with opened(settings, settings.journals / "rehearsed.jsonl", SIMULATED) as rehearsed:
        assert rehearsed is not None
        with pytest.raises(BudgetReached, match="simulated dollars"):
            rehearsed.reserve(2.0)


def test_a_batch_is_held_from_its_submission_to_its_collection_by_whatever_process(tmp_path: Path) -> None:
    settings = budget(tmp_path, 10)
    journal = settings.journals / "judge.jsonl"

    Ledger(settings, journal, SERVICE).hold("batch-1", 6.0)
    Ledger(settings, journal, SERVICE).hold("batch-1", 6.0)  # submitted again after a kill: held once
    with pytest.raises(BudgetReached):
        Ledger(settings, journal, SERVICE).hold("batch-2", 4.5)

    write_journal(settings, "judge", 2.5)
    Ledger(settings, journal, SERVICE).release("batch-1")
    Ledger(settings, journal, SERVICE).hold("batch-2", 7.5)
    with pytest.raises(BudgetReached):
        Ledger(settings, journal, SERVICE).hold("batch-3", 0.1)


def test_a_claim_that_a_kill_left_unfinished_was_never_granted(tmp_path: Path) -> None:
    settings = budget(tmp_path, 10)
    write_journal(settings, "first", 1.0)
    with opened(settings, settings.journals / "second.jsonl", SERVICE) as ledger:
        assert ledger is not None
        ledger.reserve(1.0)
    with (settings.folder / "claims.jsonl").open("a") as file:
        file.write('{"claimed": 8.0, "name": "third.js')

    with opened(settings, settings.journals / "second.jsonl", SERVICE) as ledger:
        assert ledger is not None
        ledger.reserve(8.0)


def test_what_may_have_been_charged_for_lost_answers_stays_booked(tmp_path: Path) -> None:
    settings = budget(tmp_path, 10)
    journal = write_journal(settings, "judge", 1.0)

    for _ in range(2):
        with opened(settings, journal, SERVICE) as ledger:
            assert ledger is not None
            ledger.reserve(3.0)
            ledger.settle(3.0, 0.0, 3.0)

    with opened(settings, settings.journals / "other.jsonl", SERVICE) as other:
        assert other is not None
        other.reserve(3.0)
        with pytest.raises(BudgetReached, match=r"7.00 are spent"):
            other.reserve(0.1)


def test_a_killed_step_that_needs_no_further_call_gives_back_its_claim(tmp_path: Path) -> None:
    settings = budget(tmp_path, 100)
    killed = step(tmp_path, "judge", settings, kill=2)
    assert killed.stdout is not None
    killed.stdout.readline()
    killed.kill()
    killed.wait()

    with opened(settings, settings.journals / "judge.jsonl", SERVICE):
        pass  # all its answers are in the journal

    with opened(settings, settings.journals / "other.jsonl", SERVICE) as other:
        assert other is not None
        other.reserve(100 - 2 * 0.6 - 3.0)
        with pytest.raises(BudgetReached):
            other.reserve(0.01)


def test_what_an_ended_batch_did_cost_counts_whatever_is_left(tmp_path: Path) -> None:
    settings = budget(tmp_path, 10)
    batches = Ledger(settings, settings.journals / "judge.jsonl", SERVICE)
    batches.hold("batch-1", 8.0)

    batches.reduce("batch-1", 3.0)

    batches.hold("batch-2", 7.0)
    with pytest.raises(BudgetReached):
        batches.hold("batch-3", 0.01)
    batches.reduce("batch-2", 7.5)  # more than was held, and spent all the same
    with pytest.raises(BudgetReached, match=r"10.50 are reserved"):
        batches.hold("batch-3", 0.01)


def test_a_journal_that_was_compacted_is_read_once_more_and_not_by_every_step(tmp_path: Path) -> None:
    settings = budget(tmp_path, 10)
    journal = write_journal(settings, "first", 1.0, 1.0)
    Ledger(settings, settings.journals / "other.jsonl", SERVICE).hold("batch-1", 1.0)
    journal.write_text(journal.read_text().replace('", ', '",'))

    for number in (2, 3):
        Ledger(settings, settings.journals / "other.jsonl", SERVICE).hold(f"batch-{number}", 1.0)

    claims = [json.loads(line) for line in (settings.folder / "claims.jsonl").read_text().splitlines()]
    sizes = [claim["size"] for claim in claims if claim["name"] == "first.jsonl"]
    assert len(sizes) == 2
    assert sizes[-1] == journal.stat().st_size


def test_without_a_call_nothing_is_claimed(tmp_path: Path) -> None:
    settings = budget(tmp_path, 0)

    with opened(settings, settings.journals / "all-answered.jsonl", SERVICE):
        pass

    assert not settings.folder.exists()
