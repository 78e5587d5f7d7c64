"""What the executor for a cluster has to know of this workflow."""

from snakemake_executor_plugin_llamaduo.limits import Limits
from snakemake_executor_plugin_llamaduo.start import prepare_start as hold_plan_and_settle
from snakemake_executor_plugin_llamaduo.workplace import Workplace


def followers(jobs):
    """Rules and wildcards of the steps at the largest volume, and of those behind a verdict, of undecided runs."""
    undecided = {(job.wildcards.task, job.wildcards.model) for job in jobs if job.rule.name == "decide"}
    for job in jobs:
        if job.rule.name != "close_run" or (job.wildcards.task, job.wildcards.model) not in undecided:
            continue
        task, generator, model = job.wildcards.task, job.wildcards.generator, job.wildcards.model
        volume = max(CONFIG.tasks[task].volumes)
        yield "finetune", {"task": task, "model": model, "volume": str(volume)}
        yield "respond", {"task": task, "model": model, "volume": str(volume)}
        yield "deploy_model", {"model": model}
        if volume and not RESULTS.measured_pool(task, generator, volume).is_file():
            yield "curate", {"chunks": str(first_chunks(volume, CONFIG.synthesis))}


def note_out_of_memory(job):
    """Remember that a step has run out of memory, for its next attempt's request."""
    times = read_json(OUT_OF_MEMORY) if OUT_OF_MEMORY.is_file() else {}
    key = step_key(job.rule.name, job.wildcards_dict)
    write_json(OUT_OF_MEMORY, times | {key: times.get(key, 0) + 1})


def begin_making():
    """Whether anything is to be made; then trainings that an earlier start gave up may be tried anew."""
    makes = not only_looks()
    if makes:
        check_folder(config_key("results"), RESULTS.root)
        check_folder(config_key("state"), STATE.root)
        forget_hopeless(STATE.checkpoints)
    return makes


LIMITS = Limits(
    workflow,
    SITE.check_requests,
    followers,
    grew=lambda job: times_out_of_memory(job.rule.name, job.wildcards_dict) > 0,
)
WORKPLACE = Workplace(RESULTS.root, CONFIG_NAME, LIMITS, note_failed, note_out_of_memory)
hold_plan_and_settle(workflow, SITE, WORKPLACE, begin_making, restore_provenance, keep_provenance)
