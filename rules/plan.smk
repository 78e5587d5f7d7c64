"""After a dry-run: the plan."""

import atexit

from snakemake_executor_plugin_llamaduo.job_facts import request_of

TARGETS = {"all", "sweep", "coverage", "deploy", "status"}


def reasons_of(job):
    """Why a job would run, apart from jobs before it that run."""
    reason = workflow.dag.reason(job)
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


def gpu_hours(job):
    """The GPU hours that a job asks for: its GPUs for the whole of its run time."""
    asked = [job.resources.get(name, 0) for name in ("gpu", "runtime")]
    return asked[0] * asked[1] / 60 if all(isinstance(value, int | float) for value in asked) else 0.0


def is_reworded(job):
    """Whether the wording of the prompts has changed. Snakemake itself looks only where it has found no other reason."""
    changed = workflow.persistence.params_changed(job)
    return reworded(changed.only_old, str(job.params.get("settings")))


def planned_step(job, charges):
    """A job as the plan tells of it."""
    # A step whose batches are submitted by another only collects the answers.
    is_charged = charges is not None and job.rule.name in CHARGED and not job.input.get("batches")
    names = job.wildcards_dict
    slots = ((slot, job.resources.get(slot, 0)) for slot in SLOTS_OF_ALL_SERVICES)
    return PlannedStep(
        job.rule.name,
        outputs=tuple(str(file) for file in job.output if Path(file).exists()),
        reasons=reasons_of(job),
        submitted=LIMITS.is_submitted(job),
        gpu_hours=gpu_hours(job),
        charge=charges.of(job.rule.name, names, lambda: is_reworded(job)) if is_charged else None,
        slots=tuple((slot, share) for slot, share in slots if share),
        request=request_of(job),
    )


def show_plan():
    """Print the plan, when this was a dry-run of the main process."""
    dag = getattr(workflow, "_dag", None)
    if not workflow.is_main_process or not workflow.dryrun or dag is None:
        return
    jobs = [job for job in dag.needrun_jobs(exclude_finished=False) if job.rule.name not in TARGETS]
    if not jobs:
        return
    charges, about_dollars = None, ""
    if any(job.rule.name in CHARGED for job in jobs):
        try:
            charges, about_dollars = Charges(CONFIG, PROMPTS, RESULTS, STATE), ABOUT_DOLLARS
        except InputError as error:
            about_dollars = f"Dollars: not known: {error}\n"
    steps = [planned_step(job, charges) for job in jobs]
    print(plan_table(steps, [one.name for one in workflow.rules]))
    for line in again_lines(steps):
        print(line)
    if SITE.array_limit:
        places = {slot: workflow.global_resources[slot].value for slot in SLOTS_OF_ALL_SERVICES}
        print(
            f"Submissions: {submissions(steps, SITE.array_limit, places):,} at least; jobs of a kind that are ready together "
            "are one array. Steps that ask the same service follow one another."
        )
    for line in LIMITS.never_run(jobs):
        print(f"warning: {line}")
    print(ABOUT_GPU_HOURS)
    print(about_dollars, end="")
    sys.stdout.flush()


atexit.register(show_plan)
