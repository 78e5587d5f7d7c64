"""What SLURM could never run is said before the start: a partition that is not there, a request beyond what it has."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from snakemake.common.tbdstring import TBDString
from snakemake.exceptions import WorkflowError
from snakemake.iocontainers import InputFiles, Wildcards

from llamaduo.cli.errors import InputError, ServiceError
from snakemake_executor_plugin_llamaduo.job_facts import Job
from snakemake_executor_plugin_llamaduo.partitions import Nodes, Obstacle, Request, obstacle, read_partitions

PATIENCE_SECONDS = 600
"""A controller that is down while the workflow starts is waited for."""
SITE_VALUES = {
    "partition": ("gpu_partition", "cpu_partition"),
    "minutes": ("longest_minutes", "longest_minutes, cpu_partition or requests"),
    "gpus": ("gpus or gpu_model", "requests"),
    "feature": ("gpu_constraint", "requests"),
    "cores": ("gpu_step_cores", "requests"),
    "megabytes": ("largest_mb", "cpu_partition or requests"),
}
"""The site's values that the parts of a request follow from, of a step on GPUs and of any other."""


@dataclass
class Limits:
    """Compares the requests of a workflow's jobs with what the cluster's partitions have.

    `followers` names the rules and wildcards of the largest steps that planned decisions may lead to; `grew` says
    whether a step's request has grown after it ran out of memory.
    """

    workflow: Any
    check: bool
    followers: Callable[[Iterable[Job]], Iterator[tuple[str, Mapping[str, str]]]]
    grew: Callable[[Job], bool]

    @cached_property
    def partitions(self) -> list[Nodes]:
        """The cluster's partitions, as they are when it is first asked; none where it does not tell.

        A start waits for a controller that is down, as it has to wait for it anyway.
        """
        try:
            return read_partitions(patience=0 if self.workflow.dryrun else PATIENCE_SECONDS) if self.check else []
        except ServiceError as error:
            print(f"Requests are not compared with what the cluster's partitions have: {error}", flush=True)
            return []

    def is_submitted(self, job: Job) -> bool:
        """Whether a step is a job where there is a cluster. A dry-run counts every step as local."""
        return job.rule.name not in self.workflow._localrules

    def obstacle_of(self, job: Job) -> str:
        """In words, what keeps SLURM from running a job that is to be submitted; empty when nothing does."""
        if job.is_group() or not self.partitions:
            return ""
        request = self._asked_by(job)
        found = obstacle(request, self.partitions)
        return f"it asks for {_in_words(request, found)}" if found else ""

    def never_run(self, jobs: Iterable[Job]) -> list[str]:
        """In words, which of some planned jobs, or of the steps that follow, SLURM could never run."""
        if not self.partitions:
            return []
        jobs = list(jobs)
        planned: dict[str, list[Request]] = {}
        for job in filter(self.is_submitted, jobs):
            request = self._asked_by(job)
            if self.grew(job):
                # A request that grew after running out of memory fails its own job, not the whole start.
                request = replace(request, megabytes=0)
            planned.setdefault(job.rule.name, []).append(request)
        following = self._refusals(self._asked_by_followers(jobs), "to which decisions may lead")
        return sorted((following | self._refusals(planned, "{} of its jobs")).values())

    def refuse_what_never_runs(self) -> None:
        """Raise `InputError` when the cluster could never run what is planned: such jobs would wait for ever."""
        if lines := self.never_run(self.workflow.dag.needrun_jobs()):
            skipped = "if `sinfo` does not tell all of this cluster, set the site's check_requests to false"
            raise InputError("\n".join([f"nothing was started ({skipped}):", *lines]))

    def _asked_of_a_node(self, resources: Mapping[str, Any], cores: int) -> Request:
        """A request, as far as it is known and said in the words that the rules use."""
        asked = {name: value for name, value in resources.items() if not isinstance(value, TBDString)}
        numbers = {name: value for name, value in asked.items() if isinstance(value, int)}
        has_own_cores = {"cpus_per_task", "cpus_per_gpu"} & asked.keys()
        return Request(
            partition=str(asked.get("slurm_partition", "")),
            # A quality of service may allow more time than the partition.
            minutes=0 if "qos" in asked else numbers.get("runtime", 0),
            cores=0 if has_own_cores else cores,
            megabytes=0 if "mem_mb_per_cpu" in asked else numbers.get("mem_mb", 0),
            gpus=numbers.get("gpu", 0),
            gpu_model=str(asked.get("gpu_model", "")),
            feature=str(asked.get("constraint", "")),
        )

    def _asked_by(self, job: Job) -> Request:
        """What a job asks for, on one node. A dry-run by itself gives every job one core."""
        cores = _cores_of(job.rule, job.wildcards) if self.workflow.dryrun else job.threads
        return self._asked_of_a_node(job.resources, cores)

    def _asked_by_followers(self, jobs: Iterable[Job]) -> dict[str, list[Request]]:
        """By rule, what the largest steps will ask for that planned decisions may lead to.

        Their wildcards are those that such requests follow from; by these alone no step is one that ran out of memory.
        """
        found: dict[str, list[Request]] = {}
        for name, values in self.followers(jobs):
            rule, wildcards = self.workflow.get_rule(name), Wildcards(fromdict=values)
            with suppress(WorkflowError):
                resources = rule.expand_resources(values, InputFiles(), attempt=1, skip_evaluation={"tmpdir"})
                found.setdefault(name, []).append(self._asked_of_a_node(resources, _cores_of(rule, wildcards)))
        return found

    def _refusals(self, requests: Mapping[str, list[Request]], which: str) -> dict[tuple[str, str], str]:
        """In words, by rule and part of the request, what SLURM could never run."""
        met: dict[tuple[str, str], list[tuple[Request, Obstacle]]] = {}
        for rule, request in [(rule, one) for rule, asked in requests.items() for one in asked]:
            if found := obstacle(request, self.partitions):
                met.setdefault((rule, found.part), []).append((request, found))
        lines = {}
        for (rule, part), refused in met.items():
            words = _in_words(*max(refused, key=lambda pair: getattr(pair[0], part)))
            lines[rule, part] = f"SLURM could never run {rule} ({which.format(len(refused))}): it asks for {words}"
        return lines


def _cores_of(rule: Any, wildcards: Any) -> int:
    """The cores of a rule's job, as the rule or the site has them."""
    asked = rule.resources["_cores"].evaluate(wildcards)
    return asked.value if isinstance(asked.value, int) else 0


def _in_words(request: Request, found: Obstacle) -> str:
    """An obstacle to a request, and the site's values that it follows from."""
    on_gpus, on_others = SITE_VALUES[found.part]
    return f"{found.words} (the site's {on_gpus if request.gpus else on_others})"
