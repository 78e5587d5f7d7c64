"""After a dry-run: what would run, what of it again and why, and the GPU hours and dollars that it comes to."""

import atexit
import math
from collections import Counter

from snakemake_executor_plugin_llamaduo.job_facts import request_of
from tabulate import tabulate

EXAMPLES_SHOWN = 5
TARGETS = {"all", "sweep", "coverage", "deploy", "status"}
# The steps whose calls are charged: the service's role, the wildcard that names it, the place of the journal.
GRADES = ("judge", "judge", "judging/{subject}/{judge}")
PAIRS = ("generator", "generator", "synthesis/{task}/{generator}/chunk-{chunk}")
OWN_RESPONSES = ("baseline", "service", "baselines/{task}/{service}")
CHARGED = {
    "synthesize": PAIRS,
    "submit_synthesis": PAIRS,
    "respond_service": OWN_RESPONSES,
    "submit_responses": OWN_RESPONSES,
    "judge": GRADES,
    "submit_grades": GRADES,
}
ABOUT_DOLLARS = """Dollars: an estimate as by `snakemake estimate`, from what is on this machine; nobody was asked.
What stands in the journals is not paid for again: of two figures, the first is right if all of it still fits what these
steps ask, the second if none of it does. Batches are charged where they are submitted.
"""


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
        ("not there yet", reason.missing_output and not exists_in_part(job)),
    ]
    return [name for name, holds in found if holds] or ["follows from another step"]


def exists_in_part(job):
    return any(Path(file).exists() for file in job.output)


def gpu_hours(job):
    """The GPU hours that a job asks for: its GPUs for the whole of its run time."""
    asked = [job.resources.get(name, 0) for name in ("gpu", "runtime")]
    return asked[0] * asked[1] / 60 if all(isinstance(value, int | float) for value in asked) else 0.0


def is_charged(job):
    """Whether a step's calls are charged; one whose batches are submitted by another only collects the answers."""
    return job.rule.name in CHARGED and not job.input.get("batches")


def is_reworded(job):
    """Whether the wording of the prompts has changed, so that no answer in the journal fits."""
    # Snakemake itself looks for this only where it has found no other reason.
    return repr(job.params.get("prompts")) in workflow.persistence.params_changed(job).only_new


def charges_of(job, estimate):
    """What a job comes to if its journal's answers are all of use, and if none is."""
    from llamaduo.estimate.steps import AskingStep, answers_held

    role, wildcard, journal = CHARGED[job.rule.name]
    names = job.wildcards_dict
    task = names["task"] if "task" in names else names["subject"].split("/")[1]
    expected = estimate(AskingStep(role, task, names[wildcard], int(names.get("chunk", 0))))
    held = answers_held(Path(state(f"journal/{journal}.jsonl".format(**names))))
    return expected.left(0 if held and is_reworded(job) else held), expected.line


def charges(jobs):
    """The charges of the jobs that are charged, by job, and what to say of them."""
    paid = [job for job in jobs if is_charged(job)]
    if not paid:
        return {}, ""
    from llamaduo.estimate.steps import step_estimate

    try:
        estimate = step_estimate(CONFIG, PROMPTS, Path(CONFIG.results))
    except InputError as error:
        return {}, f"Dollars: not known: {error}\n"
    return {job: charges_of(job, estimate) for job in paid}, ABOUT_DOLLARS


def shown_dollars(jobs, charged):
    """The dollars of jobs, between their two bounds; nothing where none is charged."""
    from llamaduo.estimate.table import added, between, dollars

    bounds = [charged[job] for job in jobs if job in charged]
    return between([dollars(added(lines)) for lines in zip(*bounds)]) if bounds else ""


def submissions(jobs):
    """How few submissions jobs can be: those of a kind that are ready together are one.

    Of steps that ask the same service only so many are ready together as its slots let through, one as it comes.
    """
    alike, slots = {}, [slot_of(service) for service in CONFIG.services]
    for job in filter(LIMITS.is_submitted, jobs):
        alike.setdefault((job.rule.name, request_of(job)), []).append(job)
    least = 0
    for kind in alike.values():
        rounds = [sum(job.resources.get(slot, 0) for job in kind) / places_of(slot) for slot in slots]
        least += math.ceil(max(len(kind) / SITE.array_limit, *rounds))
    return least


def places_of(slot):
    """How many steps may ask a service at the same time."""
    return workflow.global_resources[slot].value or 1


def show_plan():
    """Print the plan, when this was a dry-run of the main process."""
    dag = getattr(workflow, "_dag", None)
    if not workflow.is_main_process or not workflow.dryrun or dag is None:
        return
    jobs = [job for job in dag.needrun_jobs(exclude_finished=False) if job.rule.name not in TARGETS]
    if not jobs:
        return
    rows, again = [], []
    charged, about_dollars = charges(jobs)
    planned = {job.rule.name for job in jobs}
    for step in [one.name for one in workflow.rules if one.name in planned]:
        alike = [job for job in jobs if job.rule.name == step]
        existing = [job for job in alike if exists_in_part(job)]
        why = Counter(reason for job in alike for reason in reasons_of(job))
        told = ", ".join(f"{reason} ({count})" for reason, count in why.most_common())
        where = "" if LIMITS.is_submitted(alike[0]) else "beside Snakemake"
        hours = sum(map(gpu_hours, alike))
        rows.append([step, len(alike), len(existing) or "", where, f"{hours:,.0f}" if hours else ""])
        rows[-1] += [shown_dollars(alike, charged), told]
        again += existing
    submitted = sum(map(LIMITS.is_submitted, jobs))
    total = ["total", len(jobs), len(again) or "", f"{submitted} on a cluster", f"{sum(map(gpu_hours, jobs)):,.0f}"]
    rows.append([*total, shown_dollars(jobs, charged), ""])
    headers = ["step", "count", "again", "where", "GPU hours asked", "dollars, about", "why"]
    print(tabulate(rows, headers, disable_numparse=True))
    for job in again[:EXAMPLES_SHOWN]:
        outputs = " ".join(str(file) for file in job.output if Path(file).exists())
        print(f"again: {job.rule.name}: {outputs}: {', '.join(reasons_of(job))}")
    if len(again) > EXAMPLES_SHOWN:
        print(f"again: and {len(again) - EXAMPLES_SHOWN} more")
    if SITE.array_limit:
        print(
            f"Submissions: {submissions(jobs):,} at least; jobs of a kind that are ready together are one array. Steps "
            "that ask the same service follow one another."
        )
    for line in LIMITS.never_run(jobs):
        print(f"warning: {line}")
    print("GPU hours: what the jobs may use at most; behind a decision or a pool's yield there may be more steps.")
    print(about_dollars, end="")
    sys.stdout.flush()


atexit.register(show_plan)
