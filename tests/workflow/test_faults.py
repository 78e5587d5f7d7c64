"""A judge over a service that fails one call in five in every way it can, and killed in the middle three times.

The service is a process of its own, so that it outlives whoever asks it, and its log tells what was really answered.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workspace import REPOSITORY, clean_environment

from llamaduo.service.prompts import load
from llamaduo.simulated.log import SERVED, count_served, read_log
from llamaduo.storage import tables
from llamaduo.storage.schemas.grades import grades_schema
from llamaduo.storage.schemas.responses import RESPONSES

ROWS, GRADES, CONCURRENCY = 500, 2, 8
METRICS = ["similarity", "precision"]
FAULTS = {
    "rate_limit": 0.03,
    "server_error": 0.03,
    "overloaded": 0.03,
    "dropped": 0.02,
    "broken_body": 0.02,
    "timeout": 0.01,
    "malformed": 0.02,
    "truncated": 0.02,
    "refusal": 0.02,
}
KILLED_AFTER = (200, 500, 800)
"""Answers in the journal, of 1,000 and more."""
PATIENCE_SECONDS = 120


@contextmanager
def running_service(folder: Path, faults: dict[str, float]) -> Iterator[tuple[str, Path]]:
    """The address and the log of a simulated service in a process of its own."""
    folder.mkdir()
    address, log = folder / "address", folder / "served.jsonl"
    command = [sys.executable, str(REPOSITORY / "scripts/simulated_service.py"), f"--address-file={address}"]
    command += [f"--log={log}", f"--faults={json.dumps(faults)}", "--latency-seconds=0.02"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=clean_environment()) as process:
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not address.is_file():
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.01)
            yield address.read_text().strip(), log
        finally:
            process.terminate()


def write_responses(path: Path) -> None:
    rows = [
        {
            "instructions": f"What does otter {number // 4} wait for?",
            "target_responses": f"Otter {number // 4} waits for noon.",
            "candidate_responses": f"It waits for {['noon', 'rain', 'fish', 'an otter'][number % 4]}, says {number}.",
            "model_id": "gemma",
            "model_sha": "abc",
            "prompt_id": f"p{number // 4:03}",
            "sample": number % 4,
            "finish_reason": "stop",
            "prompt_tokens": 30,
            "completion_tokens": 9,
            "messages": [{"role": "user", "content": f"What does otter {number // 4} wait for?"}],
        }
        for number in range(ROWS)
    ]
    tables.write_rows(path, rows, RESPONSES)


def command(folder: Path, responses: Path, address: str) -> list[str]:
    service = {
        "provider": "openai",
        "model": "gpt-4o",
        "base_url": address,
        "simulated": True,
        "concurrency": CONCURRENCY,
        "samples_per_call": GRADES,
        "timeout_seconds": 5,
    }
    options = {
        "responses": responses,
        "judge": "grader",
        "service": json.dumps(service),
        "prompts": load(REPOSITORY / "config" / "prompts.toml").judge.model_dump_json(),
        "settings": json.dumps({"grades": GRADES, "metrics": METRICS, "maximum_ungraded": 0}),
        "asking.journals": folder,
        "asking.step": "journal",
        "output": folder / "grades.parquet",
    }
    return [
        sys.executable,
        str(REPOSITORY / "scripts/judge.py"),
        *(f"--{name}={text}" for name, text in options.items()),
    ]


def grades(folder: Path) -> list[dict[str, Any]]:
    """The table without its dates, which tell when a grade was given."""
    rows = tables.read_rows(folder / "grades.parquet", grades_schema(METRICS))
    return [{name: value for name, value in row.items() if name != "dates"} for row in rows]


def finish(folder: Path, responses: Path, address: str) -> None:
    done = subprocess.run(
        command(folder, responses, address), env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def kill_after(answers: int, folder: Path, responses: Path, address: str) -> None:
    """Run until the journal holds so many answers, then kill -9."""
    journal = folder / "journal.jsonl"
    with subprocess.Popen(
        command(folder, responses, address), env=clean_environment(), stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not journal.exists() or journal.read_bytes().count(b"\n") < answers:
            assert process.poll() is None and time.monotonic() < deadline, "ended before the kill"
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (folder / "grades.parquet").exists()


def test_faults_and_kills_change_no_grade_and_lose_none(tmp_path: Path) -> None:
    """Slow by intent: five runs of a program, and waits after failures and for answers that never come."""
    responses = tmp_path / "responses.parquet"
    write_responses(responses)
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for folder in (undisturbed, disturbed):
        folder.mkdir()
    with running_service(tmp_path / "good", {}) as (address, _):
        finish(undisturbed, responses, address)

    with running_service(tmp_path / "bad", FAULTS) as (address, log):
        for answers in KILLED_AFTER:
            kill_after(answers, disturbed, responses, address)
        finish(disturbed, responses, address)

    rows = grades(disturbed)
    assert len(rows) == ROWS
    assert all(grade is not None for row in rows for metric in METRICS for grade in row[f"{metric}_grades"])
    assert rows == grades(undisturbed)

    recorded = [json.loads(line) for line in (disturbed / "journal.jsonl").read_text().splitlines()]
    again = [line for line in recorded if line["request"]["attempt"]]
    assert len(recorded) == len({line["key"] for line in recorded}) == ROWS * GRADES + len(again)
    assert again, "some answers were malformed, truncated or refused"

    served = count_served(log)
    calls_needed = served.distinct
    assert served.faults > 0.1 * served.answered
    assert served.answered - calls_needed <= len(KILLED_AFTER) * CONCURRENCY
    samples = sum(line["samples"] for line in read_log(log) if line["status"] == SERVED)
    assert samples - len(recorded) <= len(KILLED_AFTER) * CONCURRENCY * GRADES
