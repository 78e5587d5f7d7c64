"""After a dry-run: the plan. See llamaduo.workflow.plan."""

import atexit
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llamaduo.cli.errors import InputError
from llamaduo.workflow import plan
from llamaduo.workflow.settings import reworded
from llamaduo.workflow.site import Site
from snakemake_executor_plugin_llamaduo.job_facts import Job, request_of
from snakemake_executor_plugin_llamaduo.limits import Limits

TARGETS = {"all", "sweep", "coverage", "deploy", "status"}


class PlanReport:
    """The plan of a workflow. `charges`: what the steps that ask services come to, from `plan.Charges`' arguments."""

    def __init__(self, workflow: Any, site: Site, limits: Limits, slots: Mapping[str, int], charges: Any) -> None:
        self._workflow, self._site, self._limits, self._slots = workflow, site, limits, slots
        self._charges = charges

    def show_at_exit(self) -> None:
        """Print the plan when this process ends, if it was a dry-run of the main process."""
        atexit.register(self.show)

    def show(self) -> None:
        """Print the plan, when this was a dry-run of the main process."""
        dag = getattr(self._workflow, "_dag", None)
        if not self._workflow.is_main_process or not self._workflow.dryrun or dag is None:
            return
        jobs = [job for job in dag.needrun_jobs(exclude_finished=False) if job.rule.name not in TARGETS]
        if jobs:
            self._show(jobs)

    def _show(self, jobs: list[Job]) -> None:
        charges, about_dollars = None, ""
        if any(job.rule.name in plan.CHARGED for job in jobs):
            try:
                charges, about_dollars = self._charges(), plan.ABOUT_DOLLARS
            except InputError as error:
                about_dollars = f"Dollars: not known: {error}\n"
        steps = [self._step(job, charges) for job in jobs]
        print(plan.plan_table(steps, [one.name for one in self._workflow.rules]))
        for line in plan.again_lines(steps):
            print(line)
        if self._site.array_limit:
            places = {slot: self._workflow.global_resources[slot].value for slot in self._slots}
            print(
                f"Submissions: {plan.submissions(steps, self._site.array_limit, places):,} at least; jobs of a kind "
                "that are ready together are one array. Steps that ask the same service follow one another."
            )
        for line in self._limits.never_run(jobs):
            print(f"warning: {line}")
        print(plan.ABOUT_GPU_HOURS)
        print(about_dollars, end="")
        sys.stdout.flush()

    def _step(self, job: Job, charges: plan.Charges | None) -> plan.PlannedStep:
        # A step whose batches are submitted by another only collects the answers.
        is_charged = job.rule.name in plan.CHARGED and not job.input.get("batches")
        slots = ((slot, job.resources.get(slot, 0)) for slot in self._slots)
        return plan.PlannedStep(
            job.rule.name,
            outputs=tuple(str(file) for file in job.output if Path(file).exists()),
            reasons=self._reasons(job),
            submitted=self._limits.is_submitted(job),
            gpu_hours=_gpu_hours(job),
            charge=charges.of(job.rule.name, job.wildcards_dict, lambda: self._is_reworded(job))
            if charges is not None and is_charged
            else None,
            slots=tuple((slot, share) for slot, share in slots if share),
            request=request_of(job),
        )

    def _reasons(self, job: Job) -> tuple[str, ...]:
        """Why a job would run, apart from jobs before it that run."""
        reason = self._workflow.dag.reason(job)
        found = [
            ("forced", reason.forced),
            ("settings changed", reason.params_changed),
            ("code or prompts changed", reason.code_changed or reason.software_stack_changed),
            ("other inputs", reason.input_changed),
            ("an input changed", reason.updated_input),
            ("was interrupted", reason.incomplete_output),
            ("not there yet", reason.missing_output and not any(Path(file).exists() for file in job.output)),
        ]
        return tuple(name for name, holds in found if holds) or ("follows from another step",)

    def _is_reworded(self, job: Job) -> bool:
        """Whether the wording of the prompts has changed. Snakemake looks only where it has found no other reason."""
        changed = self._workflow.persistence.params_changed(job)
        return reworded(changed.only_old, str(job.params.get("settings")))


def _gpu_hours(job: Job) -> float:
    """The GPU hours that a job asks for: its GPUs for the whole of its run time."""
    gpus, minutes = (job.resources.get(name, 0) for name in ("gpu", "runtime"))
    return gpus * minutes / 60 if all(isinstance(value, int | float) for value in (gpus, minutes)) else 0.0
