"""What a start does before the first job: one main process per results folder, and on a cluster the jobs that a killed
one has left.
"""

import atexit
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from snakemake.resources import Resources
from snakemake.settings.types import Quietness

from llamaduo.cli.errors import InputError, ServiceError
from llamaduo.cluster.submitted import MAIN_PROCESS
from llamaduo.storage.lease import lease
from llamaduo.workflow.site import Site
from snakemake_executor_plugin_llamaduo import patches
from snakemake_executor_plugin_llamaduo.left_jobs import settle_left_jobs
from snakemake_executor_plugin_llamaduo.records import Records
from snakemake_executor_plugin_llamaduo.settings import settings_of_start
from snakemake_executor_plugin_llamaduo.workplace import Workplace

NAME = "llamaduo"
"""Of this executor."""


def site_of_start(workflow: Any) -> Site:
    """The site of this start, before the first rule is read. Snakemake gets the values that it works with itself.

    What the user gives on the command line wins over the site.
    """
    settings = settings_of_start()
    if settings is None:
        beside = bool(workflow.global_resources.get("services_on_login_node").value)
        return Site(services_on_login_node=beside)
    asked = workflow.resource_settings
    defaults, (resources, threads) = settings.defaults(), settings.overwritten()
    asked.default_resources = _added(defaults, asked.default_resources)
    asked.overwrite_resources = {
        rule: _added(resources.get(rule, {}), asked.overwrite_resources.get(rule))
        for rule in {**resources, **asked.overwrite_resources}
    }
    asked.overwrite_threads = {**threads, **asked.overwrite_threads}
    if settings.jobs is not None:
        workflow.global_resources["_nodes"] = settings.jobs
    return settings.site


def look_without_lock(workflow: Any) -> None:
    """Give this command again, in this process, with Snakemake's option --nolock: for targets that only look.

    Of two processes in a folder, the one that ends first removes the locks of the other. The targets are known only
    when the lock cannot be changed any more.
    """
    if workflow.execution_settings.lock:
        again = [sys.executable, "-m", "snakemake", "--nolock", *sys.argv[1:]]
        os.execv(sys.executable, again)  # noqa: S606 - the same command


def refuse_unknown_rules(workflow: Any) -> None:
    """Raise `InputError` for a request that is made for a step that is not there: Snakemake would pass over it."""
    asked = {*workflow.resource_settings.overwrite_resources, *workflow.resource_settings.overwrite_threads}
    known = {one.name for one in workflow.rules}
    if unknown := asked - known:
        names = ", ".join(sorted(known))
        raise InputError(f"set-resources, set-threads or the site's requests: {min(unknown)!r} is no rule of {names}")


def prepare_start(
    workflow: Any,
    site: Site,
    workplace: Workplace,
    begin: Callable[[], bool],
    only_looks: Callable[[], bool],
    records: Records,
) -> None:
    """Hold the results folder, plan, and settle what an earlier start has left, when Snakemake comes to planning.

    `begin` says whether anything is to be made, and `only_looks` asks only.
    """
    held = ExitStack()
    patches.notice_checkpoints_of_earlier_starts()

    def start(plan: Callable[[], None]) -> None:
        plugin = workflow.executor_plugin
        starts = workflow.is_main_process and plugin is not None and not workflow.dryrun
        try:
            if workflow.is_main_process:
                refuse_unknown_rules(workflow)
            works = starts and _hold(workflow, workplace, held, begin)
            on_cluster = works and isinstance(plugin.executor, type) and plugin.name == NAME
            if on_cluster:
                workflow.executor_settings.workplace = workplace
                if workflow.executor_settings.latency_seconds is not None:
                    workflow.execution_settings.latency_wait = workflow.executor_settings.latency_seconds
            makes_a_plan = workflow.is_main_process and not only_looks()
            if makes_a_plan:
                records.restore()
            plan()
            if workflow.dryrun and {Quietness.RULES, Quietness.ALL} & set(workflow.output_settings.quiet or ()):
                # With these Snakemake ends here, and does not put together for every job what it would not show.
                workflow.output_settings.quiet = {Quietness.RULES, Quietness.PROGRESS}
            if on_cluster:
                # Asked for here at the latest: while jobs run, nothing may wait for the partitions.
                workplace.limits.refuse_what_never_runs()
                if settle_left_jobs(workflow, workplace, site.left_jobs):
                    _plan_again(held)
            if makes_a_plan:
                records.keep()
        except (InputError, ServiceError) as error:
            sys.exit(f"error: {error}")

    patches.start_with(workflow, start)


def _hold(workflow: Any, workplace: Workplace, held: ExitStack, begin: Callable[[], bool]) -> bool:
    """Hold the results folder, unless nothing is to be made."""
    if not begin():
        look_without_lock(workflow)
        return False
    # Before the plan: what another main process is just finishing must not be planned again.
    held.enter_context(lease(workplace.results / MAIN_PROCESS, f"the workflow in {workplace.results}"))
    atexit.register(held.close)
    return True


def _plan_again(held: ExitStack) -> None:
    """Give this command again, in this process; once, since by then nothing new can be settled."""
    print("Jobs of an earlier start are settled; planning again.", flush=True)
    held.close()
    os.execv(sys.executable, [sys.executable, "-m", "snakemake", *sys.argv[1:]])  # noqa: S606 - the same command


def _added(values: dict[str, Any], given: Any) -> Any:
    """Resources of Snakemake's: those given, and the others of the site."""
    added = Resources.parse([f"{name}={value!r}" for name, value in values.items()], allow_expressions=True)
    added.update(Resources.default("bare") if given is None else Resources.from_mapping(given))
    return added
