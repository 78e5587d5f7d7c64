"""The dollars of the status: per run, what several runs share, the budget, and what is still under way."""

import subprocess
import sys
from pathlib import Path

from report_results import ResultsFolder, config

from llamaduo.config.budget import BudgetSettings
from llamaduo.config.root import Config
from llamaduo.config.services import ServiceSettings
from llamaduo.report.plan import RunName
from llamaduo.report.reading import Reader
from llamaduo.service.batches.records import Call, Facts, Step
from llamaduo.service.budget.claims import read_claims
from llamaduo.service.budget.ledger import Ledger
from llamaduo.service.budget.usage import Usage
from llamaduo.status.budget import budget_lines
from llamaduo.status.spending import of_run, read_spent, shown, spending_table
from llamaduo.storage.schemas.costs import COSTS
from llamaduo.storage.tables import write_rows

STATUS = Path(__file__).parents[2] / "scripts" / "status.py"
PRICE = {"prompt": 2.5, "completion": 10.0}
SERVICE = ServiceSettings(provider="openai", model="m")
FIRST = RunName("summarization", "gpt-4o", "gemma-2b")
SECOND = RunName("summarization", "claude", "gemma-2b")


def folder(root: Path, simulated: bool = False, **more: object) -> ResultsFolder:
    """Two runs of one model, whose generators are priced."""
    values = config(("summarization",), models=("gemma-2b",), judges=("gemini",), simulated=simulated)
    services = {name: {**service, "price": PRICE} for name, service in values["services"].items()}
    values |= {"services": services, "results": str(root / "results"), "state": str(root / "state"), **more}
    return ResultsFolder(root, Config.model_validate(values).model_dump(mode="json"))


def cost(of: ResultsFolder, place: str, dollars: float, simulated: bool = False, unpriced: int = 0) -> None:
    counted = {field.name: 0 for field in COSTS if not field.nullable}
    words = dict.fromkeys(("role", "services", "providers", "service_models"), "a")
    row = counted | words | {"simulated": simulated, "dollars": dollars, "unpriced": unpriced}
    write_rows(of.results / "costs" / f"{place}.parquet", [row], COSTS)


def some_costs(of: ResultsFolder, simulated: bool = False) -> None:
    for place, dollars in {
        "judging/runs/summarization/gpt-4o/gemma-2b/volume-250/gemini": 1.0,
        "judging/runs/summarization/gpt-4o/gemma-2b/volume-500/gemini": 2.0,
        "judging/runs/summarization/claude/gemma-2b/volume-250/gemini": 4.0,
        "judging/runs/summarization/coverage/gemma-2b/volume-0/gemini": 8.0,
        "synthesis/summarization/gpt-4o/chunk-0": 16.0,
        "synthesis/summarization/gpt-4o/chunk-1": 32.0,
        "judging/baselines/summarization/gemma-2b/gemini": 64.0,
        "baselines/summarization/gpt-4o": 128.0,
        "judging/runs/summarization/gpt-4o/phi-4/volume-250/gemini": 256.0,
    }.items():
        cost(of, place, dollars, simulated)


def table(text: str) -> dict[str, str]:
    """What a table says of each purpose."""
    rows = [line.rsplit("  ", 1) for line in text.splitlines()[2:]]
    return {name.strip(): dollars.strip() for name, dollars in rows}


def test_a_run_has_the_dollars_of_its_own_grades_and_what_is_shared_stands_below(tmp_path: Path) -> None:
    made = folder(tmp_path)
    some_costs(made)

    spent = read_spent(Reader(made.results), made.state / "journal")

    assert [shown(of_run(spent, run)) for run in (FIRST, SECOND)] == ["3.00", "4.00"]
    assert table(spending_table(spent, [FIRST, SECOND])) == {
        "grades of the runs above": "7.00",
        "pool: summarization / gpt-4o": "48.00",
        "grades of volume 0: summarization": "8.00",
        "baselines: summarization": "192.00",
        "runs that are not in the config": "256.00",
        "total": "511.00",
    }


def test_a_model_that_was_tuned_elsewhere_has_its_grades_for_itself(tmp_path: Path) -> None:
    made = folder(tmp_path)
    some_costs(made)
    spent = read_spent(Reader(made.results), made.state / "journal")

    own = RunName("summarization", "elsewhere", "gemma-2b")

    assert of_run(spent, own) == Usage(dollars=64.0)
    assert table(spending_table(spent, [own]))["baselines: summarization"] == "128.00"


def test_a_step_that_has_not_ended_counts_by_its_journal(tmp_path: Path) -> None:
    made = folder(tmp_path)
    place = "judging/runs/summarization/gpt-4o/gemma-2b/volume-250/gemini"
    journal = made.journal(place, "gemini", calls=4, dollars=0.5)
    with journal.open("a") as lines:
        lines.write('{"answer": {"dolla')  # being written

    spent = read_spent(Reader(made.results), made.state / "journal")
    going_on = table(spending_table(spent, [FIRST]))
    cost(made, place, 2.5)
    ended = table(spending_table(read_spent(Reader(made.results), made.state / "journal"), [FIRST]))

    assert (going_on["total"], going_on["of it by steps that have not ended"]) == ("2.00", "2.00")
    assert ended["total"] == "2.50"
    assert "of it by steps that have not ended" not in ended


def test_simulated_and_unknown_dollars_are_labelled(tmp_path: Path) -> None:
    made = folder(tmp_path)
    cost(made, "synthesis/summarization/gpt-4o/chunk-0", 3.0, simulated=True, unpriced=2)
    cost(made, "synthesis/summarization/gpt-4o/chunk-1", 1.0)
    cost(made, "baselines/summarization/gpt-4o", 0.0, unpriced=5)

    rows = table(spending_table(read_spent(Reader(made.results), made.state / "journal"), [FIRST]))

    assert rows["pool: summarization / gpt-4o"] == "1.00 + 3.00 simulated"
    assert rows["baselines: summarization"] == "?"
    assert rows["total"] == "1.00 + 3.00 simulated + ?"


def test_nothing_spent_is_nothing_shown(tmp_path: Path) -> None:
    made = folder(tmp_path)
    cost(made, "synthesis/summarization/gpt-4o/chunk-0", 0.0, simulated=True, unpriced=2)

    assert spending_table(read_spent(Reader(made.results), made.state / "journal"), [FIRST]) == ""
    assert budget_lines(made.settings) == []


def test_the_budget_tells_what_is_spent_and_what_is_reserved_and_by_whom(tmp_path: Path) -> None:
    made = folder(tmp_path, budget_usd=100.0)
    assert budget_lines(made.settings) == ["budget_usd: of 100.00 dollars 0.00 spent, 100.00 left"]
    budget = BudgetSettings(dollars=100.0, folder=made.state / "ledger", journals=made.state / "journal")
    done = Ledger(budget, made.journal("baselines/summarization/gpt-4o", "gpt-4o", calls=10, dollars=0.5), SERVICE)
    done.reserve(1.0)
    done.settle(1.0, 0.0, lost=1.0)
    done.close()
    at_work = Ledger(budget, made.state / "journal" / "judging" / "gemini.jsonl", SERVICE)
    at_work.reserve(2.0)
    at_work.hold("llamaduo-7", 20.0)

    (line,) = budget_lines(made.settings)

    assert line.startswith("budget_usd: of 100.00 dollars 5.00 spent, 1.00 for calls whose answers were lost, ")
    assert line.endswith("(batch llamaduo-7, judging/gemini.jsonl), " + line.rsplit("), ")[1])
    claimed = sum(claim.claimed for claim in read_claims(made.state / "ledger" / "claims.jsonl"))
    assert line.endswith(f"{100 - claimed:,.2f} left")
    assert 28.0 <= claimed < 30.0
    at_work.close()


def test_batches_under_way_tell_the_most_they_may_cost(tmp_path: Path) -> None:
    made = folder(tmp_path)
    for place, dollars in (("judging/one", 3.0), ("judging/two", 4.0)):
        step = Step(made.state / "batches" / place)
        step.note("gemini", made.state / "journal" / f"{place}.jsonl")
        batch = step.add([Call({}, (0,))], Facts("asked", 1, 1, "2026-11-21T03:00:00+00:00", 0, dollars))
    batch.note_collected()

    assert budget_lines(made.settings) == ["batches under way or to be collected: 1, of 3.00 dollars at most"]


def test_the_status_shows_the_dollars_of_runs(tmp_path: Path) -> None:
    made = folder(tmp_path, simulated=True)
    made.run("summarization", "gpt-4o", "gemma-2b", until=250)
    some_costs(made, simulated=True)

    command = [sys.executable, str(STATUS), "--config", str(made.config), "--folder", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    rows = {line.split()[1]: line for line in done.stdout.splitlines() if line.startswith("summarization ")}
    assert rows["gpt-4o"].endswith("3.00 simulated")
    assert rows["claude"].endswith("4.00 simulated")
    assert "total                              511.00 simulated" in done.stdout
