"""Batches at the three vendors, with their real SDKs over HTTP: what is asked in them is answered once.

The simulated service counts what it answered, and every such answer is paid for.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from batch_runs import (
    ANSWERS,
    VENDORS,
    asked_online,
    in_a_process,
    open_batches_at,
    records,
    run_to_the_end,
    served,
    simulated,
    step_of,
)
from batch_step import CONTENTS, REPLICATES, STEP, as_it_is, in_batches, requests, settings, wait_for
from gateway import gateway
from pydantic import ValidationError

from llamaduo.cli.errors import InputError, ServiceError
from llamaduo.config.budget import BudgetSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.service.batches.asking import ONLINE_CALLS, InBatches
from llamaduo.service.batches.planning import grouped
from llamaduo.service.client import ask_all
from llamaduo.service.interface import Answer, Unacceptable
from llamaduo.service.journal import identity

# The way of an answer


@pytest.mark.parametrize("provider", VENDORS)
def test_answers_of_batches_stand_in_the_journal_under_the_keys_of_single_calls(provider: str, tmp_path: Path) -> None:
    with simulated(tmp_path, batches={"seconds": 0.2}) as address:
        service = settings(address, provider, samples_per_call=1 if provider == "anthropic" else 2)

        answers = run_to_the_end(service, tmp_path)

        calls = ANSWERS if provider == "anthropic" else CONTENTS * 2
        assert (served(tmp_path).answered, served(tmp_path).repeated) == (calls, 0)
        assert answers == asked_online(service, tmp_path)
    assert all(record["answer"]["batch"] for record in records(tmp_path))
    assert all(record["answer"]["dollars"] > 0 for record in records(tmp_path)[:1])


@pytest.mark.parametrize("provider", VENDORS)
def test_what_expires_fails_or_ends_in_errors_is_submitted_again_and_only_that(provider: str, tmp_path: Path) -> None:
    faults = {"expired": 0.3, "errors": 0.3, "failed": 1}
    with simulated(tmp_path, batches=faults) as address:
        service = settings(address, provider, batch_requests=5)

        answers = run_to_the_end(service, tmp_path)

        assert (served(tmp_path).answered, served(tmp_path).repeated) == (ANSWERS, 0)
        assert len(open_batches_at(address, provider)) > 3
    with simulated(tmp_path) as address:
        assert answers == asked_online(settings(address, provider), tmp_path)


def test_malformed_answers_are_asked_for_again_online_when_they_are_few(tmp_path: Path) -> None:
    with simulated(tmp_path) as address:
        service = settings(address, "openai")
        first = requests()[0]
        key = identity.key(service, first, 0)

        def picky(answer: Answer) -> str:
            if answer.text == rejected:
                raise Unacceptable("not in the form asked for")
            return answer.text

        rejected = asked_online(service, tmp_path)[key]
        run_to_the_end(service, tmp_path)
        outcomes = ask_all("grader", service, requests(), picky, tmp_path / "journal.jsonl", "grading")

    assert [answer.batch for answer in outcomes[0].answers][:2] == [True, False]
    assert len(records(tmp_path)) == ANSWERS + sum(len(outcome.answers) - 1 for outcome in outcomes)


def test_a_step_that_was_never_submitted_submits_and_waits_by_itself(tmp_path: Path) -> None:
    asked = requests(contents=ONLINE_CALLS, replicates=2)
    with simulated(tmp_path) as address:
        in_batches(settings(address, "openai"), tmp_path, asked).collect("grading")

    assert len(records(tmp_path)) == len(asked)
    assert all(record["answer"]["batch"] for record in records(tmp_path))


def test_more_grades_submit_the_new_ones_only(tmp_path: Path) -> None:
    with simulated(tmp_path) as address:
        service = settings(address, "anthropic")
        run_to_the_end(service, tmp_path)

        assert in_batches(service, tmp_path, requests(replicates=REPLICATES + 1)).submit() == CONTENTS


def test_calls_under_way_are_not_submitted_with_the_new_ones(tmp_path: Path) -> None:
    with simulated(tmp_path, batches={"seconds": 0.5}) as address:
        service = settings(address, "openai")
        assert in_batches(service, tmp_path).submit() == ANSWERS
        assert in_batches(service, tmp_path).submit() == 0
        assert in_batches(service, tmp_path, requests(replicates=REPLICATES + 1)).submit() == CONTENTS


# Limits, and what a batch tells of its calls


def test_batches_keep_to_the_limits_of_calls_and_bytes(tmp_path: Path) -> None:
    with simulated(tmp_path) as address:
        in_batches(settings(address, "openai", batch_requests=5), tmp_path / "calls").submit()
        assert [batch.facts.calls for batch in step_of(tmp_path / "calls").batches()] == [5, 5, 2]

        in_batches(settings(address, "openai", batch_megabytes=0.001), tmp_path / "bytes").submit()
        batches = step_of(tmp_path / "bytes").batches()
        assert sum(batch.facts.calls for batch in batches) == ANSWERS
        assert len(batches) > 3


def test_replicates_that_follow_one_another_make_one_call() -> None:
    records = [{"content": name, "replicate": replicate} for name in "ab" for replicate in (0, 1, 2, 4)]

    assert [call.replicates for call in grouped(records, samples=2)] == [(0, 1), (2,), (4,)] * 2


def test_an_answer_is_asked_for_in_the_order_of_its_schema(tmp_path: Path) -> None:
    """In the order of their names a grade would be written before its reason."""
    with simulated(tmp_path, batches={"seconds": 60}) as address:
        in_batches(settings(address, "anthropic"), tmp_path).submit()

    (batch,) = step_of(tmp_path).batches()

    assert next(list((call.request.json_schema or {})["properties"]) for call in batch.calls()) == ["reason", "grade"]


def test_ids_of_calls_tell_nothing_of_their_content(tmp_path: Path) -> None:
    with simulated(tmp_path, batches={"seconds": 60}) as address:
        service = settings(address, "openai")
        in_batches(service, tmp_path).submit()
    keys = {identity.key(service, request, 0) for request in requests()}

    ids = {call.id for batch in step_of(tmp_path).batches() for call in batch.calls()}

    assert ids == keys


# Changes of mind, mistakes and money


def test_a_change_to_online_ends_what_is_under_way_and_keeps_what_was_answered(tmp_path: Path) -> None:
    with simulated(tmp_path, batches={"seconds": 60}) as address:
        service = settings(address, "openai")
        in_batches(service, tmp_path).submit()
        online = service.model_copy(update={"mode": "online"})
        in_batches(online, tmp_path).collect("grading")
        outcomes = ask_all("grader", online, requests(), as_it_is, tmp_path / "journal.jsonl", "grading")

        assert {batch["status"] for batch in open_batches_at(address, "openai")} == {"cancelled"}
        assert (served(tmp_path).answered, served(tmp_path).repeated) == (ANSWERS, 0)
    assert not any(outcome.answers[0].batch for outcome in outcomes)


@pytest.mark.parametrize("provider", VENDORS)
def test_calls_that_the_vendor_will_not_take_are_the_users_mistake(provider: str, tmp_path: Path) -> None:
    with simulated(tmp_path, models=["known"]) as address:
        service = settings(address, provider)
        in_batches(service, tmp_path).submit()
        with pytest.raises(InputError, match=f"12 of {ANSWERS} calls .*submits the rest again"):
            wait_for(service, tmp_path)

        mended = settings(address, provider, model="known")
        answers = run_to_the_end(mended, tmp_path)

    assert len(answers) == ANSWERS


def test_a_wrong_key_is_told_before_anything_is_submitted(tmp_path: Path) -> None:
    with simulated(tmp_path, key="right") as address, pytest.raises(InputError, match="API key is not accepted"):
        in_batches(settings(address, "openai"), tmp_path).submit()


def test_a_batch_that_may_cost_more_than_the_budget_has_left_is_not_submitted(tmp_path: Path) -> None:
    def priced(dollars: float) -> InBatches:
        budget = BudgetSettings(dollars=dollars, folder=tmp_path / "ledger", journals=tmp_path)
        return InBatches(
            "grader",
            service,
            requests(),
            as_it_is,
            tmp_path / "journal.jsonl",
            state=tmp_path / "batches",
            step=STEP,
            budget=budget,
        )

    with simulated(tmp_path) as address:
        service = settings(address, "openai")
        with pytest.raises(ServiceError, match="budget_usd is reached"):
            priced(0.0001).submit()
        assert open_batches_at(address, "openai") == []

        priced(1).submit()
        wait_for(service, tmp_path)
        priced(1).collect("collecting")

        assert len(open_batches_at(address, "openai")) == 1
    assert len(records(tmp_path)) == ANSWERS
    claims = [json.loads(line) for line in (tmp_path / "ledger" / "claims.jsonl").read_text().splitlines()]
    assert {claim["name"]: claim["claimed"] for claim in claims if claim["name"].startswith("batch ")}.popitem()[1] == 0


def test_one_process_asks_the_vendor_for_all_that_wait(tmp_path: Path) -> None:
    with simulated(tmp_path, batches={"seconds": 1.0}) as address, gateway(address) as way:
        in_batches(settings(address, "openai"), tmp_path).submit()
        waiting = [in_a_process("wait", way.address, "openai", tmp_path) for _ in range(2)]

        assert [process.wait(60) for process in waiting] == [0, 0]

        fetched = [line for line in way.seen if line.endswith("/content")]
        assert len(fetched) == 1


def test_the_simulated_service_inside_of_a_step_has_no_batches() -> None:
    with pytest.raises(ValidationError, match=r"cannot keep until the next step: start scripts/simulated_service\.py"):
        ServiceSettings(provider="openai", model="m", base_url="simulated", mode="batch")


# By hand


def look_after(config: Path, *options: str) -> str:
    program = Path(__file__).parents[2] / "scripts" / "batches.py"
    command = [sys.executable, str(program), "--config", str(config), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_batches_are_listed_and_cancelled_by_hand(tmp_path: Path) -> None:
    demo = yaml.safe_load((Path(__file__).parents[2] / "config" / "demo.yaml").read_text())
    with simulated(tmp_path, batches={"seconds": 60}) as address:
        service = settings(address, "openai")
        demo |= {"state": str(tmp_path), "judges": ["grader"]}
        demo["services"]["grader"] = service.model_dump(mode="json", exclude_unset=True)
        (tmp_path / "config.json").write_text(json.dumps(demo))
        in_batches(service, tmp_path).submit()
        (id,) = (batch.id for batch in step_of(tmp_path).batches())

        assert f"{STEP}  {id}  {ANSWERS} calls" in look_after(tmp_path / "config.json")
        assert "cancelling" in look_after(tmp_path / "config.json", "--do", "cancel")

        with pytest.raises(ServiceError, match=f"{ANSWERS} calls were not answered .*submits the rest again"):
            wait_for(service, tmp_path)
    with simulated(tmp_path) as address:
        answers = run_to_the_end(settings(address, "openai"), tmp_path)

    assert len(answers) == ANSWERS
    assert "no batches" in look_after(tmp_path / "config.json")
