"""metrics.py and decide.py by hand: grades in, decision out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llamaduo.storage.files import read_json, write_json
from llamaduo.storage.schemas.grades import grades_schema
from llamaduo.storage.schemas.metrics import METRICS
from llamaduo.storage.tables import read_rows, write_rows

ROOT = Path(__file__).parents[2]
RUN = ["--task", "coding", "--generator", "gpt-4o", "--model", "gemma", "--volume", "1000", "--cycle", "1"]
EPSILON = json.dumps({"epsilon": {"mean": {"share_of_service": 90}, "coverage": 50}})


def program(name: str, *options: object) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "scripts" / name), *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write_grades(path: Path, judge: str, grades: list[float]) -> Path:
    rows = [
        {
            "instructions": "i",
            "target_responses": "t",
            "candidate_responses": "c",
            "model_id": "gemma",
            "model_sha": "abc",
            "prompt_id": str(number),
            "sample": 0,
            "finish_reason": "stop",
            "prompt_tokens": 1,
            "completion_tokens": 1,
            "messages": [{"role": "user", "content": "i"}],
            "eval_prompts": "e",
            "evaluators": judge,
            "dates": None,
            "similarity_scores": grade,
            "similarity_grades": [grade],
            "similarity_reasons": ["r"],
        }
        for number, grade in enumerate(grades)
    ]
    write_rows(path, rows, grades_schema(["similarity"]))
    return path


def measured(folder: Path, name: str, grades: list[float]) -> Path:
    tables = [write_grades(folder / f"{name}-{judge}.parquet", judge, grades) for judge in ("gpt-4o", "claude")]
    output = folder / f"{name}.parquet"
    done = program("metrics.py", "--grades", *tables, "--metrics", '["similarity"]', "--output", output)
    assert done.returncode == 0, done.stderr
    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("decision")
    measured(path, "run", [70, 80, 90])
    measured(path, "service", [80, 80, 80])
    return path


def test_metrics_of_several_judges(folder: Path) -> None:
    rows = read_rows(folder / "run.parquet", METRICS)
    assert [(row["judge"], row["statistic"], row["zeta"], row["value"]) for row in rows] == [
        (judge, statistic, zeta, value)
        for judge in ("gpt-4o", "claude")
        for statistic, zeta, value in (("mean", None, 80), ("coverage", 50, 100), ("coverage", 70, 100))
    ]


def test_equal_grades_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    assert measured(tmp_path, "run", [70, 80, 90]).read_bytes() == (folder / "run.parquet").read_bytes()


def test_a_run_converges(folder: Path, tmp_path: Path) -> None:
    own = ["--metrics", folder / "run.parquet", "--service-metrics", folder / "service.parquet"]
    done = program("decide.py", *own, *RUN, "--last", "false", "--settings", EPSILON, "--output", tmp_path / "d.json")
    assert done.returncode == 0, done.stderr
    decision = read_json(tmp_path / "d.json")
    assert decision["verdict"] == "converged"
    assert decision["volume"] == 1000


def test_a_pool_that_ran_out(tmp_path: Path) -> None:
    write_json(tmp_path / "pool.json", {"volume": 1000, "accepted": 9, "advice": "More seeds."})
    done = program("decide.py", "--pool-shortfall", tmp_path / "pool.json", *RUN, "--output", tmp_path / "d.json")
    assert done.returncode == 0, done.stderr
    assert read_json(tmp_path / "d.json")["reason"] == "yield"


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ([], 1, "exactly one of --metrics and --pool-shortfall"),
        (["--metrics", "absent.parquet"], 1, "absent.parquet: no such file"),
        (["--settings", '{"epsilon": {"mean": null, "coverage": null}}'], 2, "at least one criterion must remain"),
        (["--settings", '{"epsilon": {"mean": 200}}'], 2, "less than or equal to 100"),
    ],
)
def test_mistakes_are_told_without_a_traceback(tmp_path: Path, options: list[str], status: int, message: str) -> None:
    done = program("decide.py", *RUN, *options, "--output", tmp_path / "d.json")
    assert (done.returncode, "Traceback" in done.stderr) == (status, False)
    assert message in done.stderr


@pytest.mark.parametrize("name", ["judge.py", "metrics.py", "decide.py", "respond_service.py"])
def test_every_program_explains_itself(name: str) -> None:
    done = program(name, "--help")
    assert done.returncode == 0
    assert "--output" in done.stdout
