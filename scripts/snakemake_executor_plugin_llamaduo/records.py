"""Snakemake's records of what made the results, beside the results. See llamaduo.workflow.provenance."""

import atexit
import shlex
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from snakemake.io import IOFile
from snakemake.persistence import MetadataRecord

from llamaduo.cli.errors import InputError
from llamaduo.workflow.loop import Loop
from llamaduo.workflow.provenance import Mirror
from snakemake_executor_plugin_llamaduo.workplace import where_possible

DRY_RUN = {"-n", "--dry-run", "--dryrun"}


class Records:
    """The records of a workflow's results, in Snakemake's own store and in their mirror."""

    def __init__(self, workflow: Any, loop: Loop) -> None:
        self._workflow, self._loop = workflow, loop

    @cached_property
    def _mirror(self) -> Mirror:
        return Mirror(str(self._loop.results.root))

    def restore(self) -> None:
        """Before the plan: give Snakemake back the records that it lacks of results that have them."""
        workflow = self._workflow
        if not workflow.touch:
            workflow.dag.forcefiles |= set(map(str, self._loop.removed_deployments()))
            # Snakemake looks for what was interrupted in its first plan only, without what decisions bring into it.
            made = map(str, self._loop.results.artifacts())
            workflow.dag.forcefiles |= workflow.persistence._filter_incomplete_keys(made)
        for output in self._mirror.outputs():
            record = workflow.persistence.metadata(IOFile(output))
            if lost := self._mirror.lost(output, None if record is None else record.endtime or 0):
                workflow.persistence._write_record(output, MetadataRecord.model_validate(lost))
                self._mirror.set_back(output)
        workflow.persistence.deactivate_cache()

    def keep(self) -> None:
        """After the plan: stop where results have no record, and mirror those there are, now and at the end."""
        if self._workflow.executor_plugin is None:
            return
        if not self._workflow.touch and self._workflow.execution_settings.keep_metadata:
            self._refuse_unrecorded()
        if not self._workflow.dryrun:
            self._copy()
            atexit.register(self._copy)

    def _refuse_unrecorded(self) -> None:
        """Raise `InputError` if some results would be kept of which nobody knows what made them."""
        dag = self._workflow.dag
        kept = [job for job in dag.jobs if dag.reason(job).no_metadata and not dag.needrun(job)]
        outputs = [file for job in kept for file in job.output if Path(file).exists()]
        files = [str(file) for file in outputs if self._workflow.persistence.metadata(file) is None]
        if files:
            others = f" and {len(files) - 1} more have" if len(files) > 1 else " has"
            command = [argument for argument in sys.argv[1:] if argument not in DRY_RUN]
            raise InputError(
                f"{files[0]}{others} no record of what made it, so that nobody can tell whether it is up to date: "
                f"to accept what is there, run `snakemake {shlex.join(['--touch', '--forceall', *command])}`; to make "
                "it again, move it away; nothing was started"
            )

    def _copy(self) -> None:
        """Mirror what Snakemake has recorded of the outputs that are there since it was mirrored last."""
        for output in {str(file) for job in self._workflow.dag.jobs for file in job.output}:
            if Path(output).exists() and not self._mirror.knows(output):
                record = self._workflow.persistence.metadata(IOFile(output))
                if record is not None:
                    self._mirror.note(output, record.model_dump())
        where_possible(self._mirror.save)
