"""judge.py under a budget, and the table of what its answers cost: over real HTTP, in real processes."""

import json
import subprocess
from pathlib import Path

import pytest
from test_judging_program import command, prompts, responses, served

from llamaduo.storage.schemas.costs import COSTS
from llamaduo.storage.tables import read_rows

__all__ = ["prompts", "responses"]  # fixtures
PRICE = {"prompt": 2.5, "completion": 10.0}
GRADES = 3
STEP = "judging/runs/cats/coverage/gemma/volume-0/gpt-4o"


def judge(
    responses: Path, prompts: str, dollars: float | None = None, **service: object
) -> subprocess.CompletedProcess[str]:
    folder = responses.parent
    given = command(responses, prompts, grades=GRADES)
    place = given.index("--service") + 1
    given[place] = json.dumps({**json.loads(given[place]), "price": PRICE, **service})
    given[given.index("--asking.step") + 1] = STEP
    given += ["--asking.costs", str(folder / "costs")]
    if dollars is not None:
        budget = {"dollars": dollars, "folder": str(folder / "ledger"), "journals": str(folder / "journals")}
        given[given.index("--asking.journals") + 1] = str(folder / "journals")
        given += ["--asking.budget", json.dumps(budget)]
    return subprocess.run(given, capture_output=True, text=True, check=False)


def test_a_step_stops_before_the_call_that_would_exceed_the_budget_and_goes_on_with_a_larger_one(
    responses: Path, prompts: str
) -> None:
    # A call may cost up to 1,024 tokens of answer and its prompt: about 2 cents.
    stopped = judge(responses, prompts, dollars=0.03)

    assert stopped.returncode == 1
    assert "Traceback" not in stopped.stderr
    assert "error: service gpt-4o (openai, gpt-4o): budget_usd is reached: of 0.03 simulated dollars" in stopped.stderr
    assert "Raise budget_usd in the config and start the same command again" in stopped.stderr
    paid = served(responses)
    assert 0 < paid < 5 * GRADES

    assert judge(responses, prompts, dollars=10).returncode == 0
    assert served(responses) == 5 * GRADES
    row = read_rows(responses.parent / "costs" / f"{STEP}.parquet", COSTS)[0]
    assert row["dollars"] < 10

    # What stands in the journal costs nothing again, whatever is left.
    assert judge(responses, prompts, dollars=0).returncode == 0
    assert served(responses) == 5 * GRADES


def test_the_costs_are_the_journals_and_the_same_bytes_again(responses: Path, prompts: str) -> None:
    assert judge(responses, prompts, samples_per_call=GRADES).returncode == 0
    costs = responses.parent / "costs" / f"{STEP}.parquet"
    first = costs.read_bytes()
    row = read_rows(costs, COSTS)[0]
    journal = [json.loads(line)["answer"] for line in (responses.parent / f"{STEP}.jsonl").read_text().splitlines()]

    assert (row["role"], row["task"], row["volume"], row["services"], row["simulated"]) == (
        "judge",
        "cats",
        0,
        "gpt-4o",
        True,
    )
    # Identical responses share their grades, and the grades of one response come from one call.
    assert (row["calls"], row["answers"], row["unpriced"]) == (5, 5 * GRADES, 0)
    assert row["dollars"] == pytest.approx(sum(answer["dollars"] for answer in journal))
    assert row["prompt_tokens"] == sum(answer["prompt_tokens"] for answer in journal)
    charged = (row["prompt_tokens"] * PRICE["prompt"] + row["completion_tokens"] * PRICE["completion"]) / 1e6
    assert row["dollars"] == pytest.approx(charged)

    # A later price is not what was paid.
    assert judge(responses, prompts, samples_per_call=GRADES, price={"prompt": 9, "completion": 9}).returncode == 0
    assert costs.read_bytes() == first
