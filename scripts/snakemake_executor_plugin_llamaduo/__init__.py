"""Snakemake's executor for a SLURM cluster: `executor: llamaduo` in a profile.

It submits jobs as snakemake-executor-plugin-slurm does, and waits where that gives up: for a controller that is down,
for a queue that is full, for an answer. Snakemake finds this package by its name.
"""

import sys

from llamaduo.cli.errors import InputError
from llamaduo.config.sources import refuse_unreadable
from snakemake_executor_plugin_llamaduo import versions

# Before what needs them is imported: that would end in a traceback.
if refusal := versions.refusal():
    sys.exit(refusal)

# Snakemake reads --configfile before the Snakefile, and names neither file nor line of what it cannot read.
try:
    refuse_unreadable(sys.argv[1:])
except InputError as error:
    sys.exit(f"error: {error}")

from snakemake_interface_executor_plugins.settings import CommonSettings

from snakemake_executor_plugin_llamaduo.executor import Executor
from snakemake_executor_plugin_llamaduo.settings import ExecutorSettings

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
)
