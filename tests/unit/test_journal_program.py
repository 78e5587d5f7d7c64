"""journal.py: what a journal holds, one entry of it, and the same journal compacted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llamaduo.service.journal.journal import open_journal
from llamaduo.storage.lease import lease

PROGRAM = Path(__file__).parents[2] / "scripts" / "journal.py"


def line(key: str, stop: str = "stop", attempt: int = 0, dollars: float | None = 0.25, text: str = "fine") -> str:
    answer = {
        "text": text,
        "stop_reason": stop,
        "prompt_tokens": 900,
        "completion_tokens": 100,
        "date": "2026-01-31T12:00:00Z",
        "detail": "",
        "dollars": dollars,
    }
    request = {"provider": "openai", "model": "gpt-4o", "messages": [], "replicate": 0, "attempt": attempt}
    return json.dumps({"answer": answer, "key": key, "request": request}) + "\n"


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal" / "judge.jsonl"
    path.parent.mkdir()
    lines = [line("aa1"), line("aa2", stop="refusal"), "not a record\n", line("ab3", attempt=1, dollars=None)]
    path.write_text("".join([*lines, line("aa1", text="later"), '{"answer": {"te']))
    return path


def run(*options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), *(str(option) for option in options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_table_of_what_it_holds_and_what_is_wrong_with_it(journal: Path) -> None:
    before = journal.read_bytes()

    done = run("--journals", journal)

    assert done.returncode == 0, done.stderr
    rows = [row.split() for row in done.stdout.splitlines()]
    assert ["openai/gpt-4o", "refusal", "0", "1", "900", "100", "0.2500", "2026-01-31"] in rows
    assert ["openai/gpt-4o", "stop", "0", "2", "1,800", "200", "0.5000", "2026-01-31"] in rows
    assert ["openai/gpt-4o", "stop", "1", "1", "900", "100", "?", "2026-01-31"] in rows
    assert ["all", "4", "3,600", "400", "0.7500", "2026-01-31"] in rows
    assert "1 answers stand under keys of later ones" in done.stdout
    assert "line 3 is no record" in done.stdout
    assert "line 6 was not finished" in done.stdout
    assert journal.read_bytes() == before


def test_all_journals_of_a_folder(journal: Path) -> None:
    (journal.parent / "other.jsonl").write_text(line("x"))

    done = run("--journals", journal.parent)

    assert done.stdout.count("openai/gpt-4o") == 4
    assert "other.jsonl: 1 answers" in done.stdout


def test_one_entry_by_the_beginning_of_its_key(journal: Path) -> None:
    shown = json.loads(run("--journals", journal, "--show", "ab").stdout)

    assert shown["request"]["attempt"] == 1
    assert "2 keys begin with 'aa'; give more of it" in run("--journals", journal, "--show", "aa").stderr
    assert "no keys begin with 'b'" in run("--journals", journal, "--show", "b").stderr


def test_compacted_it_holds_the_last_answer_under_each_key_and_can_be_used(journal: Path) -> None:
    done = run("--journals", journal, "--compact")

    assert done.returncode == 0, done.stderr
    assert "3 answers kept, 1 repeated ones dropped, 2 lines set aside" in done.stdout
    with open_journal(journal) as opened:
        kept = [opened.get(key) for key in ("aa1", "aa2", "ab3")]
    assert [answer and answer.text for answer in kept] == ["later", "fine", "fine"]
    aside = journal.with_name("judge.jsonl.unreadable")
    assert aside.read_text().splitlines() == ["not a record", '{"answer": {"te']
    assert sorted(path.name for path in journal.parent.iterdir()) == ["judge.jsonl", "judge.jsonl.unreadable"]

    assert "3 answers kept, 0 repeated ones dropped\n" in run("--journals", journal, "--compact").stdout


def test_a_journal_in_use_is_not_compacted(journal: Path) -> None:
    before = journal.read_bytes()

    with lease(journal, "the journal"):
        done = run("--journals", journal, "--compact")

    assert done.returncode == 1
    assert "in use by process" in done.stderr
    assert journal.read_bytes() == before


def test_a_missing_journal_is_said(tmp_path: Path) -> None:
    for options in ((), ("--compact",)):
        done = run("--journals", tmp_path / "none.jsonl", *options)
        assert done.returncode == 1
        assert "no such journal" in done.stderr


def test_a_file_that_is_no_journal_is_left_as_it_is(tmp_path: Path) -> None:
    claims = tmp_path / "claims.jsonl"
    claims.write_text('{"name": "a step", "claimed": 1.0}\n')

    done = run("--journals", tmp_path, "--compact")

    assert done.returncode == 1
    assert "holds no record at all, so it is no journal" in done.stderr
    assert claims.read_text() == '{"name": "a step", "claimed": 1.0}\n'
    assert [path.name for path in tmp_path.iterdir()] == ["claims.jsonl"]
