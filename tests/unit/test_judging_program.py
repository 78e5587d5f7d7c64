"""judge.py against the simulated service, over real HTTP."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from llamaduo.service.prompts import load
from llamaduo.simulated.log import read_log
from llamaduo.storage.schemas.grades import grades_schema
from llamaduo.storage.schemas.responses import RESPONSES
from llamaduo.storage.tables import read_rows, write_rows

ROOT = Path(__file__).parents[2]
METRICS = ["similarity", "precision"]
IN_FLIGHT = 4
ANSWERS = {"p": ["The cat sat on the mat.", "A dog."], "q": ["", "The cat sat on the mat."], "r": ["same", "same"]}


@pytest.fixture(scope="module")
def prompts() -> str:
    return load(ROOT / "config" / "prompts.toml").judge.model_dump_json()


@pytest.fixture
def responses(tmp_path: Path) -> Path:
    path = tmp_path / "responses.parquet"
    rows = [
        {
            "instructions": f"Where did the cat sit? ({prompt})",
            "target_responses": "The cat sat on the mat.",
            "candidate_responses": text,
            "model_id": "gemma",
            "model_sha": "abc",
            "prompt_id": prompt,
            "sample": sample,
            "finish_reason": "stop",
            "prompt_tokens": 3,
            "completion_tokens": 2,
            "messages": [{"role": "user", "content": f"Where did the cat sit? ({prompt})"}],
        }
        for prompt, texts in ANSWERS.items()
        for sample, text in enumerate(texts)
    ]
    write_rows(path, rows, RESPONSES)
    return path


def command(
    responses: Path, prompts: str, faults: dict | None = None, latency: float = 0.0, **settings: Any
) -> list[str]:
    folder = responses.parent
    simulation = {"log": str(folder / "served.jsonl"), "faults": faults or {}, "latency_seconds": latency}
    service = {
        "provider": "openai",
        "model": "gpt-4o",
        "base_url": "simulated",
        "concurrency": IN_FLIGHT,
        "simulation": simulation,
    }
    options = {
        "--responses": responses,
        "--judge": "gpt-4o",
        "--service": json.dumps(service),
        "--prompts": prompts,
        "--settings": json.dumps(settings),
        "--asking.journals": folder,
        "--asking.step": "journal",
        "--output": folder / "grades.parquet",
    }
    program = [sys.executable, str(ROOT / "scripts" / "judge.py")]
    return program + [str(part) for option in options.items() for part in option]


def judge(responses: Path, prompts: str, faults: dict | None = None, **settings: Any) -> subprocess.CompletedProcess:
    return subprocess.run(command(responses, prompts, faults, **settings), capture_output=True, text=True, check=False)


def served(responses: Path) -> int:
    log = responses.parent / "served.jsonl"
    return len(read_log(log)) if log.exists() else 0


def scores_and_reasons(responses: Path) -> list[dict]:
    """The grades without their dates, which tell when they were given."""
    rows = read_rows(responses.parent / "grades.parquet", grades_schema(METRICS))
    return [{name: value for name, value in row.items() if name != "dates"} for row in rows]


def test_responses_are_graded_and_shared_grades_are_paid_for_once(responses: Path, prompts: str) -> None:
    done = judge(responses, prompts, grades=3)
    assert done.returncode == 0, done.stderr
    rows = read_rows(responses.parent / "grades.parquet", grades_schema(METRICS))
    scores = {(row["prompt_id"], row["sample"]): row["similarity_scores"] for row in rows}
    assert list(scores) == [(prompt, sample) for prompt in ANSWERS for sample in (0, 1)]
    assert scores["p", 0] > 90 > scores["p", 1]
    assert scores["q", 0] == 0
    assert scores["r", 0] == scores["r", 1]
    assert all(len(row["precision_grades"]) == 3 and row["dates"] for row in rows)
    assert served(responses) == 5 * 3


def test_more_grades_are_bought_and_the_old_ones_kept(responses: Path, prompts: str) -> None:
    judge(responses, prompts, grades=2)
    before = read_rows(responses.parent / "grades.parquet", grades_schema(METRICS))
    assert judge(responses, prompts, grades=3).returncode == 0
    after = read_rows(responses.parent / "grades.parquet", grades_schema(METRICS))
    assert [row["similarity_grades"] for row in before] == [row["similarity_grades"][:2] for row in after]
    assert served(responses) == 5 * 3


def test_a_judge_that_refuses_too_often_fails_the_step_and_a_rerun_pays_nothing_again(
    responses: Path, prompts: str
) -> None:
    done = judge(responses, prompts, faults={"refusal": 0.5}, grades=4)
    assert done.returncode == 1
    assert "grades ungiven" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (responses.parent / "grades.parquet").exists()
    paid = served(responses)
    assert judge(responses, prompts, faults={"refusal": 0.5}, grades=4, maximum_ungraded=100).returncode == 0
    assert served(responses) == paid
    rows = read_rows(responses.parent / "grades.parquet", grades_schema(METRICS))
    grades = [
        (grade, reason)
        for row in rows
        for grade, reason in zip(row["similarity_grades"], row["similarity_reasons"], strict=True)
    ]
    assert any(grade is None for grade, _ in grades)
    assert all(grade is not None or reason.startswith("refusal") for grade, reason in grades)


def test_a_killed_judge_continues_and_pays_twice_for_nothing_but_what_was_in_flight(
    responses: Path, prompts: str
) -> None:
    """Slow by intent: calls take a while, so that the kill comes in their middle."""
    calls = 5 * 8
    killed = subprocess.Popen(command(responses, prompts, latency=0.1, grades=8), stderr=subprocess.DEVNULL)
    while killed.poll() is None and not calls / 4 <= served(responses):
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    assert not (responses.parent / "grades.parquet").exists()

    assert judge(responses, prompts, grades=8).returncode == 0
    assert calls <= served(responses) <= calls + IN_FLIGHT
    continued = scores_and_reasons(responses)

    (responses.parent / "journal.jsonl").unlink()
    assert judge(responses, prompts, grades=8).returncode == 0
    assert scores_and_reasons(responses) == continued


def test_a_metric_without_a_text_is_told_before_anything_is_asked(responses: Path, prompts: str) -> None:
    done = judge(responses, prompts, metrics=["similarity", "tone"])
    assert done.returncode == 1
    assert "the metric 'tone' has no text" in done.stderr
    assert not (responses.parent / "journal.jsonl").exists()
