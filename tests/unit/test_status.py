"""The status of a grid of runs: live jobs by the outputs they make, failed steps, usage."""

import json
from pathlib import Path

from llamaduo.cluster.queue import parse, seconds_of
from llamaduo.cluster.submitted import Submitted, note, note_end, read, read_ends
from llamaduo.status.grid import failures
from llamaduo.status.steps import Failed, live_steps, read_failed
from llamaduo.status.usage import read_usage, usage_table, without_result

ADAPTER = "results/runs/animals/writer/gemma/volume-6/adapter"
PLACE = Path("/somewhere")
ROWS = ["12_1", "RUNNING", "node2", "0:37", "23:59:23", "rule_finetune", "run-1", "/somewhere"]


def submitted(benchmark: Path, **values: object) -> Submitted:
    plain = {
        "id": "12",
        "rule": "finetune",
        "output": ADAPTER,
        "benchmark": str(benchmark),
        "digest": "a",
        "time": 5.0,
        "memory": 30_000,
        "minutes": 120,
        "cores": 8,
        "gpus": 2,
        "run": "run-1",
        "place": "/somewhere",
    }
    return Submitted(**{**plain, **values})  # type: ignore[arg-type]


def test_a_live_job_is_found_by_the_step_that_was_submitted(tmp_path: Path) -> None:
    other_run = ["13", *ROWS[1:-2], "run-2", "/somewhere"]
    ended = ["14", "COMPLETED", *ROWS[2:]]
    of_original = ["16", *ROWS[1:]]
    queue = parse("\x1f".join(row) for row in (ROWS, other_run, ended, of_original))
    jobs = [submitted(tmp_path, id=id) for id in ("12_1", "13", "14", "15")]
    # This folder may be a copy of one whose jobs live.
    jobs += [submitted(tmp_path, id="16", place="/original")]

    (step,) = live_steps(jobs, queue, Path("/somewhere"))

    assert (step.output, str(step)) == (ADAPTER, "running: finetune, job 12_1 on node2 for 0:37")


def test_a_waiting_job_tells_why(tmp_path: Path) -> None:
    queue = parse(["\x1f".join(["12", "PENDING", "(Priority)", *ROWS[3:]])])
    (step,) = live_steps([submitted(tmp_path)], queue, Path("/somewhere"))
    assert str(step) == "pending: finetune, job 12 (Priority)"


def test_a_failed_step_shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "volume-6.log"
    log.write_text("first\n" + "more\n" * 5 + "step 1\rstep 2\n\nerror: no room on the disk\n")
    file = tmp_path / "failed.json"
    file.write_text(json.dumps({"failed": [{"rule": "finetune", "outputs": [ADAPTER], "log": str(log)}]}))

    steps = read_failed(file)

    assert steps == [Failed("finetune", (ADAPTER,), str(log))]
    ends = ["more", "more", "more", "step 2", "error: no room on the disk"]
    assert failures(steps) == [f"failed: finetune: {ADAPTER}", f"  log: {log}", *(f"  | {line}" for line in ends)]
    assert read_failed(tmp_path / "none.json") == []


def test_a_step_that_was_not_submitted_shows_why_and_no_log_of_before(tmp_path: Path) -> None:
    log = tmp_path / "volume-6.log"
    log.write_text("all went well\n")
    step = {"rule": "finetune", "outputs": [ADAPTER], "log": str(log), "reason": "it asks for 9 GPUs on a node"}
    (tmp_path / "failed.json").write_text(json.dumps({"failed": [step]}))

    told = failures(read_failed(tmp_path / "failed.json"))

    assert told == [f"failed: finetune: {ADAPTER}", "  not submitted: it asks for 9 GPUs on a node"]


def test_usage_counts_gpu_hours_and_an_output_once(tmp_path: Path) -> None:
    benchmark = tmp_path / "benchmark.tsv"
    benchmark.write_text("s\th:m:s\tmax_rss\n1800.0\t0:30:00\t2000.0\n")
    jobs = [submitted(benchmark), submitted(benchmark, id="13"), submitted(tmp_path / "none", id="14", output="other")]

    (usage,) = read_usage(jobs)

    assert usage.gpu_hours == 1.0
    table = usage_table([usage])
    assert "30.0 of 120" in table
    assert "asks for much more memory than it uses" in table


def test_attempts_without_a_result_and_those_that_run_count_too(tmp_path: Path) -> None:
    file = tmp_path / "submitted.jsonl"
    for id in ("11", "12_1", "13"):
        note(file, submitted(tmp_path, id=id))
    note_end(file, "11", 1800)
    (running,) = live_steps(read(file).values(), parse(["\x1f".join([*ROWS[:3], "1-00:30:00", *ROWS[4:]])]), PLACE)

    attempts = without_result(read(file).values(), read_ends(file), [running])

    assert {one.job.id: one.gpu_hours for one in attempts} == {"11": 1.0, "12_1": 49.0}
    benchmark = tmp_path / "benchmark.tsv"
    benchmark.write_text("s\th:m:s\tmax_rss\n1800.0\t0:30:00\t2000.0\n")
    (row,) = usage_table(read_usage([submitted(benchmark)]), attempts[:1]).splitlines()[2:]
    assert row.split()[-10:-8] == ["1.00", "1.00"]
    (row,) = usage_table([], attempts[:1]).splitlines()[2:]
    assert row.split() == ["finetune", "0", "1.00"], "no job has ended well"


def test_times_are_read_as_squeue_writes_them() -> None:
    assert [seconds_of(time) for time in ("0:37", "1:02:03", "2-00:00:01", "INVALID", "")] == [37, 3723, 172801, 0, 0]
