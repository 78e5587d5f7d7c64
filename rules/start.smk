"""What happens before the plan, after it, before the first job and after the last."""

from snakemake_executor_plugin_llamaduo.hooks import Hooks
from snakemake_executor_plugin_llamaduo.limits import Limits
from snakemake_executor_plugin_llamaduo.plan_report import PlanReport
from snakemake_executor_plugin_llamaduo.records import Records
from snakemake_executor_plugin_llamaduo.retries import retry_where_it_helps
from snakemake_executor_plugin_llamaduo.start import prepare_start
from snakemake_executor_plugin_llamaduo.workplace import Workplace

# How often one start of the workflow takes a training up again: after a time limit or a kill, and after failures that
# may pass. The program counts the two apart. A job's own process must not: it would train on past the job's end.
TRAINING_RETRIES = (CONFIG.training.continuations + CONFIG.training.failures) * workflow.is_main_process

HOOKS = Hooks(workflow, CONFIG, CONFIG_NAME, config_key, PARAMS.steps, SCRIPTS, WITH_CONDA)
HOOKS.use_prefetched()
retry_where_it_helps(STATE)


def followers(jobs):
    """Rules and wildcards of the largest steps that the undecided runs among planned jobs may come to."""
    undecided = {(job.wildcards.task, job.wildcards.model) for job in jobs if job.rule.name == "decide"}
    for job in jobs:
        if job.rule.name == "close_run" and (job.wildcards.task, job.wildcards.model) in undecided:
            yield from given(LOOP.followers, job.wildcards)


def begin_making():
    """Whether anything is to be made; then trainings that an earlier start gave up may be tried anew."""
    makes = not HOOKS.only_looks()
    if makes:
        check_folder(config_key("results"), RESULTS.root)
        check_folder(config_key("state"), STATE.root)
        forget_hopeless(STATE.checkpoints)
    return makes


def grew(job):
    return RESOURCES.times_out_of_memory(job.rule.name, job.wildcards_dict) > 0


def note_out_of_memory(job):
    RESOURCES.note_out_of_memory(job.rule.name, job.wildcards_dict)


LIMITS = Limits(workflow, SITE.check_requests, followers, grew)
WORKPLACE = Workplace(RESULTS.root, CONFIG_NAME, LIMITS, HOOKS.note_failed, note_out_of_memory)
RECORDS = Records(workflow, LOOP)
prepare_start(workflow, SITE, WORKPLACE, begin_making, HOOKS.only_looks, RECORDS)
charges = functools.partial(Charges, CONFIG, PROMPTS, RESULTS, STATE)
PlanReport(workflow, SITE, LIMITS, RESOURCES.slots_of_services(), charges).show_at_exit()
