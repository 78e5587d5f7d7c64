"""Before a plan: what Snakemake would not see by itself. See llamaduo.workflow.provenance."""

import atexit

from llamaduo.workflow.provenance import Mirror
from snakemake_executor_plugin_llamaduo.workplace import where_possible
from snakemake.io import IOFile
from snakemake.persistence import MetadataRecord

mirror = functools.cache(lambda: Mirror(CONFIG.results))


def restore_provenance():
    """Before the plan: give Snakemake back the records that it lacks of results that have them."""
    if not workflow.is_main_process or only_looks():
        return
    if not workflow.touch:
        workflow.dag.forcefiles |= set(map(str, LOOP.removed_deployments()))
    for output in mirror().outputs():
        record = workflow.persistence.metadata(IOFile(output))
        if lost := mirror().lost(output, None if record is None else record.endtime or 0):
            workflow.persistence._write_record(output, MetadataRecord.model_validate(lost))
            mirror().set_back(output)
    workflow.persistence.deactivate_cache()


def keep_provenance():
    """After the plan: stop where results have no record, and mirror those there are, now and at the end."""
    if not workflow.is_main_process or workflow.executor_plugin is None or only_looks():
        return
    if not workflow.touch and workflow.execution_settings.keep_metadata:
        refuse_unrecorded()
    if not workflow.dryrun:
        mirror_provenance()
        atexit.register(mirror_provenance)


def refuse_unrecorded():
    """Stop if some results would be kept of which nobody knows what made them."""
    kept = [job for job in workflow.dag.jobs if workflow.dag.reason(job).no_metadata and not workflow.dag.needrun(job)]
    files = [str(file) for job in kept for file in job.output if Path(file).exists() and not is_recorded(file)]
    if files:
        atexit.unregister(show_plan)
        others = f" and {len(files) - 1} more have" if len(files) > 1 else " has"
        command = [argument for argument in sys.argv[1:] if argument not in {"-n", "--dry-run", "--dryrun"}]
        sys.exit(
            f"error: {files[0]}{others} no record of what made it, so that nobody can tell whether it is up to date: "
            f"to accept what is there, run `snakemake {shlex.join(['--touch', '--forceall', *command])}`; to make it "
            f"again, move it away; {NOTHING_STARTED}"
        )


def is_recorded(file):
    return workflow.persistence.metadata(file) is not None


def mirror_provenance():
    """Note what Snakemake has recorded of the outputs that are there since it was noted last."""
    for output in {str(file) for job in workflow.dag.jobs for file in job.output}:
        if Path(output).exists() and not mirror().knows(output):
            record = workflow.persistence.metadata(IOFile(output))
            if record is not None:
                mirror().note(output, record.model_dump())
    where_possible(mirror().save)
