"""The executor's settings: the values of a site, from the profile, and from the user's own file, which wins."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from snakemake_executor_plugin_slurm import ExecutorSettings as SlurmSettings

from llamaduo.cli.errors import InputError
from llamaduo.workflow.site import Site
from snakemake_executor_plugin_llamaduo import values
from snakemake_executor_plugin_llamaduo.values import Kind, WrongValueError

SITE_FILE = "LLAMADUO_SITE"
"""The environment variable that names a site's file other than the usual one."""
USUAL_SITE_FILE = "~/.config/llamaduo/site.yaml"
GPU_STEPS = ("finetune", "respond", "respond_untuned")
"""The rules whose jobs have a GPU."""
_started: list["ExecutorSettings"] = []


def site_value(kind: Kind, default: Any, text: str, **options: Any) -> Any:
    """A field that is an option of Snakemake, a key of the profile, and a key of the site's file."""
    return field(default=default, metadata=_about(kind, text, **options))


def _about(kind: Kind, text: str, **options: Any) -> dict[str, Any]:
    def read(given: Any) -> Any:
        try:
            return kind.read(given)
        except WrongValueError as error:
            return Refused(given, str(error))

    return {"help": text, "kind": kind, "parse_func": read, "unparse_func": str, "type": str, **options}


@dataclass(frozen=True)
class Refused:
    """An option's text that cannot be read, and what would be right."""

    text: Any
    right: str


@dataclass
class ExecutorSettings(SlurmSettings):
    """The site's values. Snakemake makes `--llamaduo-gpu-partition` of `gpu_partition`, and so on."""

    # Of a plain `bool` Snakemake would make a flag that cannot be set to false.
    cpu_partition: str | None = site_value(
        values.TEXT, None, "Partition of the steps without GPU; by default the cluster's."
    )
    gpu_partition: str | None = site_value(
        values.TEXT, None, "Partition of the steps with a GPU; by default the cluster's."
    )
    account: str | None = site_value(values.TEXT, None, "The account that is charged; by default yours.")
    qos: str | None = site_value(values.TEXT, None, "The quality of service.")
    gpu_constraint: str | None = site_value(values.TEXT, None, "The features of the nodes of steps with a GPU.")
    gpu_model: str | None = site_value(values.MODEL, None, "The type of the GPUs, such as a100 of gpu:a100:4.")
    gpu_option: str = site_value(
        values.GPU_OPTION, "gpus", "The option of sbatch that asks for GPUs: gpus, or gres where that is refused."
    )
    gpus: dict[str, int] = field(
        default_factory=dict,
        metadata=_about(values.GPUS, "GPUs of one training, by model.", nargs="+", metavar="MODEL=GPUS"),
    )
    large_model_gpus: int = site_value(
        values.count("GPUs", least=0), 0, "GPUs of one training of every other model with 6B or more; 0: as configured."
    )
    gpu_step_cores: int = site_value(values.count("cores"), 8, "Cores beside each GPU.")
    requests: dict[str, dict[str, int | str]] = field(
        default_factory=dict,
        metadata=_about(
            values.REQUESTS_BY_RULE,
            "What single rules ask for instead of what the workflow reckons.",
            nargs="+",
            metavar="RULE:NAME=VALUE",
        ),
    )
    longest_minutes: int = site_value(values.MINUTES, 1440, "The most minutes of one job.")
    largest_mb: int = site_value(values.count("MB"), 500_000, "The most memory of one job, in MB.")
    internet_on_nodes: bool | None = site_value(values.FLAG, True, "Whether compute nodes reach the services.")
    preemptible: bool | None = site_value(
        values.FLAG, False, "Whether SLURM may put jobs back into the queue for others."
    )
    check_requests: bool | None = site_value(
        values.FLAG, True, "Whether requests are compared with the cluster's partitions before the start."
    )
    array_limit: int = site_value(values.count("jobs"), 20, "The most jobs of a kind in one submission; 1: no arrays.")
    first_poll_seconds: int = site_value(
        values.count("seconds"), 40, "Seconds before a job's state is first asked for."
    )
    partition_config: str | None = site_value(
        values.TEXT, None, "Snakemake file with the limits of all partitions, to have the best chosen for each job."
    )
    # Snakemake's own options `--jobs` and `--latency-wait`, which the site's file may have as well.
    jobs: int | None = site_value(values.count("jobs"), None, "As --jobs, over it.")
    latency_seconds: int | None = site_value(values.count("seconds"), None, "As --latency-wait, over it.")
    # squeue on every cluster: sacct may be there without accounting behind it, and then the run would wait for ever.
    status_command: str | None = field(
        default="squeue",
        metadata={"help": "The program that tells the states of jobs: squeue or sacct.", "type": str},
    )

    def __post_init__(self) -> None:
        try:
            self._read_site()
        except InputError as error:
            raise SystemExit(f"error: {error}") from None
        self.init_seconds_before_status_checks = self.first_poll_seconds
        # After a node failure either SLURM or Snakemake starts the job again, not both.
        self.requeue, self.no_requeue = bool(self.preemptible), not self.preemptible
        super().__post_init__()
        _started[:] = [self]

    @property
    def site(self) -> Site:
        """What the rules have to know of it."""
        return Site(
            longest_minutes=self.longest_minutes,
            largest_mb=self.largest_mb,
            gpus=self.gpus,
            large_model_gpus=self.large_model_gpus,
            cores_per_gpu=self.gpu_step_cores,
            services_on_login_node=not self.internet_on_nodes,
            check_requests=bool(self.check_requests),
            array_limit=self.array_limit,
        )

    def defaults(self) -> dict[str, str]:
        """The resources that every job asks for."""
        return _given(slurm_partition=self.cpu_partition, slurm_account=self.account, qos=self.qos)

    def overwritten(self) -> tuple[dict[str, dict[str, int | str]], dict[str, int]]:
        """The resources, and the threads, that single rules ask for instead of what they say."""
        gpu_step = _given(slurm_partition=self.gpu_partition, gpu_model=self.gpu_model, constraint=self.gpu_constraint)
        # All GPUs of one training are on one node.
        asked: dict[str, dict[str, int | str]] = {rule: {**gpu_step, "nodes": 1} for rule in GPU_STEPS}
        threads = dict.fromkeys(GPU_STEPS[1:], self.gpu_step_cores)
        most = {"mem_mb": self.largest_mb, "runtime": self.longest_minutes}
        for rule, request in self.requests.items():
            cut = {name: min(value, most.get(name) or value) for name, value in request.items()}
            if "threads" in cut:
                threads[rule] = int(cut.pop("threads"))
            asked[rule] = asked.get(rule, {}) | cut
        return {rule: request for rule, request in asked.items() if request}, threads

    def _read_site(self) -> None:
        kinds = {one.name: one.metadata["kind"] for one in fields(self) if "kind" in one.metadata}
        for name, kind in kinds.items():
            where = f"profiles/slurm/config.yaml: llamaduo-{name.replace('_', '-')}"
            value = getattr(self, name)
            if value is not None:
                setattr(self, name, _checked(kind, value, where))
        file, changes = read_site_file()
        if unknown := changes.keys() - kinds.keys():
            raise InputError(f"{file}: unknown key {min(map(str, unknown))!r}; known are {', '.join(kinds)}")
        for name, value in changes.items():
            setattr(self, name, _checked(kinds[name], value, f"{file}: {name}"))


def settings_of_start() -> ExecutorSettings | None:
    """The settings that Snakemake made when it was started with this executor, also for a dry-run."""
    return _started[0] if _started else None


def read_site_file() -> tuple[Path, Mapping[str, Any]]:
    """The user's file of site values, and what is in it; nothing when there is none. Raises `InputError`."""
    file = Path(os.environ.get(SITE_FILE, USUAL_SITE_FILE)).expanduser()
    if not file.is_file():
        if SITE_FILE in os.environ:
            raise InputError(f"{SITE_FILE}: {file}: no such file")
        return file, {}
    try:
        found = yaml.load(file.read_text(encoding="utf-8"), Loader=_PlainNumbers) or {}  # noqa: S506 - a safe loader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not YAML: {error}") from error
    if not isinstance(found, dict):
        raise InputError(f"{file}: must have lines such as 'gpu_partition: a100'")
    return file, found


class _PlainNumbers(yaml.SafeLoader):
    """Takes 24:00:00 for text, and not for a number of seconds."""


_NUMBERS = {"int": r"[-+]?\d+", "float": r"[-+]?\d*\.\d+"}
_PlainNumbers.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if resolver[0].rpartition(":")[2] not in _NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _kind, _pattern in _NUMBERS.items():
    _PlainNumbers.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), list("-+.0123456789")
    )


def _checked(kind: Kind, value: Any, where: str) -> Any:
    if isinstance(value, Refused):
        raise InputError(f"{where}: {value.text}: {value.right}")
    try:
        return kind.checked(value)
    except WrongValueError as error:
        raise InputError(f"{where}: {value!r}: {error}") from None


def _given(**asked: str | None) -> dict[str, str]:
    return {name: value for name, value in asked.items() if value is not None}
