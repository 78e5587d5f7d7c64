"""Asking a service many things: order, journal, asking again for what is not acceptable, kills."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from asking import MOST_TOKENS, answering_server, ask, echo, lines, question, service_at, whole
from vendor_server import Reaction, Received, VendorServer, vendor_server

from llamaduo.cli.errors import InputError
from llamaduo.config.services import ServiceSettings
from llamaduo.service.client import ask_all
from llamaduo.service.interface import Answer, Unacceptable
from llamaduo.storage.lease import LeaseHeld, lease

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


@pytest.fixture
def server() -> Iterator[VendorServer]:
    with answering_server() as running:
        yield running


def test_outcomes_come_in_the_order_of_the_requests(server: VendorServer, tmp_path: Path) -> None:
    server.react = lambda request, number: Reaction(text=echo(request), delay=0.05 * (number % 3))

    outcomes = ask(server, tmp_path, [question(f"q{i}", replicate=i % 2) for i in range(20)])

    assert [outcome.value for outcome in outcomes] == [f"q{i} {i % 2}.0" for i in range(20)]
    assert all(outcome.problem is None for outcome in outcomes)


def test_the_same_question_is_asked_once_and_once_per_replicate(server: VendorServer, tmp_path: Path) -> None:
    requests = [question("q", 0), question("q", 1), question("q", 0), question("other", 0)]

    outcomes = ask(server, tmp_path, requests)

    assert [outcome.value for outcome in outcomes] == ["q 0.0", "q 1.0", "q 0.0", "other 0.0"]
    assert len(server.received) == 3


def test_what_the_journal_holds_is_not_asked_again_wherever_the_service_stands(
    server: VendorServer, tmp_path: Path
) -> None:
    first = ask(server, tmp_path, [question(f"q{i}") for i in range(5)])
    with vendor_server() as elsewhere:
        again = ask(elsewhere, tmp_path, [question(f"q{i}") for i in range(7)], concurrency=3, timeout_seconds=9)

        assert len(elsewhere.received) == 2

    assert again[:5] == first
    assert len(lines(tmp_path)) == 7


def test_with_a_full_journal_neither_a_key_nor_a_service_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "k")
    with vendor_server() as server:
        first = ask(server, tmp_path, [question("q")], simulated=False, api_key_variable="MY_KEY")
        address = server.address
    monkeypatch.delenv("MY_KEY")

    service = service_at(address, simulated=False, api_key_variable="MY_KEY")

    assert ask_all("s", service, [question("q")], whole, tmp_path / "journal.jsonl", "asking") == first


@pytest.mark.parametrize(
    "change",
    [{"model": "m2"}, {"provider": "gemini"}, {"structured_output": False}, {"simulated": False}],
    ids=lambda change: next(iter(change)),
)
def test_whatever_may_change_an_answer_makes_another_key(
    change: dict, server: VendorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_LLM_API_KEY", "k")
    server.react = lambda request, number: Reaction()
    ask(server, tmp_path, [question("q", schema=SCHEMA)])

    if change == {"simulated": False}:
        change = change | {"base_url": f"{server.address}/v1"}
    ask(server, tmp_path, [question("q", schema=SCHEMA)], **change)

    assert len(server.received) == 2


def test_a_journals_line_holds_the_whole_request_and_answer_but_no_key(
    server: VendorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    server.react = lambda request, number: Reaction(text="ç")

    ask(server, tmp_path, [question("q", 4, SCHEMA)], simulated=False, base_url=f"{server.address}/v1")

    (line,) = lines(tmp_path)
    assert line["request"] == {
        "provider": "openai",
        "model": "m",
        "messages": [{"role": "user", "content": "q"}],
        "schema": SCHEMA,
        "generation": {"temperature": 1.0, "max_tokens": MOST_TOKENS},
        "replicate": 4,
        "attempt": 0,
    }
    assert line["answer"]["text"] == "ç"
    assert line["answer"]["stop_reason"] == "stop"
    assert "sk-very-secret" not in (tmp_path / "journal.jsonl").read_text()
    assert "x-llamaduo-replicate" not in server.received[0].headers  # told to simulated services only


def test_an_unacceptable_answer_is_asked_for_again_and_every_answer_is_kept(
    server: VendorServer, tmp_path: Path
) -> None:
    def accept(answer: Answer) -> str:
        if answer.text.endswith(".2"):
            return answer.text
        raise Unacceptable("not the third")

    outcomes = ask(server, tmp_path, [question("a"), question("b")], accept, attempts=3)

    assert [outcome.value for outcome in outcomes] == ["a 0.2", "b 0.2"]
    assert [answer.text for answer in outcomes[0].answers] == ["a 0.0", "a 0.1", "a 0.2"]
    assert sorted(line["request"]["attempt"] for line in lines(tmp_path)) == [0, 0, 1, 1, 2, 2]


def test_after_the_last_attempt_the_outcome_is_the_problem(server: VendorServer, tmp_path: Path) -> None:
    server.react = lambda request, number: Reaction(text="I will not.", stop="refusal")

    def accept(answer: Answer) -> str:
        raise Unacceptable("no JSON")

    (outcome,) = ask(server, tmp_path, [question("q")], accept, attempts=2)

    assert outcome.value is None
    assert outcome.problem == "refusal: no JSON"
    assert [(answer.text, answer.stop_reason) for answer in outcome.answers] == [("I will not.", "refusal")] * 2


def test_a_prompt_too_long_is_an_answer_of_its_own_and_does_not_fail_the_others(
    server: VendorServer, tmp_path: Path
) -> None:
    def react(request: Received, number: int) -> Reaction:
        long = request.body["messages"][0]["content"] == "long"
        return Reaction(status=400, text="too \ud83d long", stop="context_length_exceeded") if long else Reaction()

    def accept(answer: Answer) -> str:
        if not answer.text:
            raise Unacceptable(answer.detail)
        return answer.text

    server.react = react
    requests = [question("short"), question("long"), question("other")]

    for _ in range(2):  # the second time from the journal
        outcomes = ask(server, tmp_path, requests, accept, attempts=3)

    assert [outcome.value for outcome in outcomes] == ["fine", None, "fine"]
    assert outcomes[1].problem == "length: too \ufffd long"
    assert len(outcomes[1].answers) == 1
    assert len(server.received) == len(lines(tmp_path)) == 3


def test_what_earlier_journals_hold_is_neither_asked_again_nor_copied(server: VendorServer, tmp_path: Path) -> None:
    service = service_at(server.address)
    questions = [question(f"q{number}") for number in range(6)]
    journals = [tmp_path / f"{name}.jsonl" for name in ("one", "two", "three", "missing")]
    for journal, asked in zip(journals, (questions[:2], questions[2:4]), strict=False):
        ask_all("s", service, asked, whole, journal, "asking")
    # given that another process is just writing to the second one
    with journals[1].open("ab") as file:
        file.write(b'{"answer":{"text":"hal')
    before = [journal.read_bytes() for journal in journals[:2]]

    with lease(journals[1], "the journal"):
        outcomes = ask_all("s", service, questions, whole, journals[2], "asking", [*journals[:2], journals[3]])

    assert [outcome.value for outcome in outcomes] == [f"q{number} 0.0" for number in range(6)]
    assert len(server.received) == 6
    assert [journal.read_bytes() for journal in journals[:2]] == before
    assert len(journals[2].read_text().splitlines()) == 2
    assert not journals[3].exists()


def test_further_attempts_go_on_from_an_earlier_journals_answers(server: VendorServer, tmp_path: Path) -> None:
    def accept(answer: Answer) -> str:
        if answer.text == "q 0.2":
            return answer.text
        raise Unacceptable("no")

    for journal, attempts, earlier in (("one", 2, ()), ("two", 3, (tmp_path / "one.jsonl",))):
        service = service_at(server.address, attempts=attempts)
        (outcome,) = ask_all("s", service, [question("q")], accept, tmp_path / f"{journal}.jsonl", "asking", earlier)

    assert [answer.text for answer in outcome.answers] == ["q 0.0", "q 0.1", "q 0.2"]
    assert len(server.received) == 3


def test_more_attempts_continue_where_the_journal_ends(server: VendorServer, tmp_path: Path) -> None:
    def accept(answer: Answer) -> str:
        if answer.text == "q 0.3":
            return answer.text
        raise Unacceptable("no")

    assert ask(server, tmp_path, [question("q")], accept, attempts=2)[0].value is None
    assert ask(server, tmp_path, [question("q")], accept, attempts=5)[0].value == "q 0.3"

    assert len(server.received) == 4


def test_an_error_of_the_readers_own_is_no_reason_to_ask_again(server: VendorServer, tmp_path: Path) -> None:
    def accept(answer: Answer) -> str:
        raise KeyError("bug")

    with pytest.raises(KeyError, match="bug"):
        ask(server, tmp_path, [question("q")], accept)

    assert len(lines(tmp_path)) == 1


def test_a_missing_key_names_the_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("ANTHROPIC_API_KEY", "SERVICE_LLM_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    service = ServiceSettings(provider="anthropic", model="m")

    with pytest.raises(InputError, match=r"service s: .*ANTHROPIC_API_KEY or SERVICE_LLM_API_KEY"):
        ask_all("s", service, [question("q")], whole, tmp_path / "journal.jsonl", "asking")


def test_two_never_work_on_one_journal(server: VendorServer, tmp_path: Path) -> None:
    def accept(answer: Answer) -> str:
        with pytest.raises(LeaseHeld, match=f"process {os.getpid()}"):
            ask_all("s", service_at(server.address), [question("q")], whole, tmp_path / "journal.jsonl", "second")
        return "tried"

    # The second would need a loop of its own, but is turned away before it comes to that.
    assert ask(server, tmp_path, [question("q")], accept)[0].value == "tried"


def test_no_requests_are_no_work(server: VendorServer, tmp_path: Path) -> None:
    assert ask(server, tmp_path, []) == []


CLIENT = """
import sys
from pathlib import Path
from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.service.client import ask_all
from llamaduo.service.interface import Request

service = ServiceSettings(provider="openai", model="m", simulated=True, base_url=sys.argv[1], concurrency=4)
requests = [Request(({"role": "user", "content": f"q{i}"},), None, Generation()) for i in range(40)]
print([outcome.value for outcome in ask_all("s", service, requests, lambda a: a.text, Path(sys.argv[2]), "asking")])
"""


def test_a_killed_client_continues_and_pays_no_answer_twice_but_those_in_flight(
    server: VendorServer, tmp_path: Path
) -> None:
    server.react = lambda request, number: Reaction(text=echo(request), delay=0.03)
    journal = tmp_path / "state" / "journal.jsonl"
    command = [sys.executable, "-c", CLIENT, server.address, str(journal)]
    environment = os.environ | {"PYTHONPATH": "scripts"}
    kills = 0

    while kills < 2:
        before = server.answered
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while server.answered < before + 8 and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == str([f"q{i} 0.0" for i in range(40)])
    asked = Counter(echo(request) for request in server.received)
    assert len(asked) == 40
    assert sum(asked.values()) <= 40 + kills * 4
    assert len(journal.read_text().splitlines()) >= 40
