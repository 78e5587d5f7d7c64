"""What is replaced in Snakemake, or called there although it is not public, must still be there."""

import inspect
import re
import sys
from pathlib import Path

from snakemake.api import SnakemakeApi  # noqa: F401 - imported before `workflow`, which imports it itself
from snakemake.dag import DAG
from snakemake.jobs import Job
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.workflow import Workflow

SCRIPTS = Path(__file__).parents[2] / "scripts"
ASSIGNED = re.compile(
    r"^\s*(?:Job|DAG|workflow|plugin|logging|common|Workflow|JobScheduler)(?:\.\w+)+ = ", re.MULTILINE
)


def test_snakemake_plans_by_a_method_without_arguments() -> None:
    assert list(inspect.signature(Workflow._build_dag).parameters) == ["self"]
    assert "self._build_dag()" in inspect.getsource(Workflow.execute)


def test_snakemake_asks_a_job_how_often_it_is_tried_again() -> None:
    assert isinstance(inspect.getattr_static(Job, "restart_times"), property)
    assert "job.restart_times > job.attempt - 1" in inspect.getsource(JobScheduler._handle_error)


def test_snakemake_looks_at_checkpoints_in_one_place() -> None:
    assert list(inspect.signature(DAG.update_checkpoint_dependencies).parameters) == ["self", "jobs"]
    assert "checkpoint_target" in inspect.getsource(sys.modules[DAG.__module__])
    assert inspect.iscoroutinefunction(DAG.needrun) is False


def test_a_job_can_be_failed_without_losing_its_outputs() -> None:
    assert "postprocess_job" in inspect.signature(JobScheduler._handle_error).parameters
    assert "with self._lock" in inspect.getsource(JobScheduler.error_callback)


def test_no_other_name_is_replaced() -> None:
    """Settings that Snakemake reads are set in start.py, and are none of its code."""
    rules = [*(SCRIPTS.parent / "rules").glob("*.smk"), SCRIPTS.parent / "Snakefile"]
    found = {file.name: ASSIGNED.findall(file.read_text()) for file in [*rules, *SCRIPTS.rglob("*.py")]}
    assert {name: len(lines) for name, lines in found.items() if lines and name != "start.py"} == {"patches.py": 3}
