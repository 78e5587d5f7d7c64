"""What jobs asked for and what they used: from the notes of their submission and Snakemake's benchmarks."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from llamaduo.cluster.submitted import Submitted
from llamaduo.status.steps import LiveStep

LITTLE = 0.1
"""A rule whose hungriest job uses less than this share of what it asks for could ask for less."""


@dataclass(frozen=True)
class Usage:
    """One job: seconds and MB that it used, beside what it asked for."""

    job: Submitted
    seconds: float
    memory: float

    @property
    def gpu_hours(self) -> float:
        """The GPU hours that it used."""
        return self.job.gpus * self.seconds / 3600


def read_usage(jobs: Iterable[Submitted]) -> list[Usage]:
    """The usage of the jobs whose benchmarks are there; an output that was made again counts once, as it was last."""
    last = {job.output: job for job in jobs}
    found = []
    for job in last.values():
        file = Path(job.benchmark)
        if job.benchmark and file.is_file():
            with file.open(encoding="utf-8") as lines:
                row = next(csv.DictReader(lines, delimiter="\t"), {})
            found.append(Usage(job, _number(row.get("s")), _number(row.get("max_rss"))))
    return found


def without_result(jobs: Iterable[Submitted], ends: Mapping[str, float], live: Iterable[LiveStep]) -> list[Usage]:
    """What attempts have used that ended without a result (`ends`: their seconds by their ids), or that still run."""
    seconds = {**ends, **{step.job.id: step.job.seconds for step in live}}
    return [Usage(job, seconds[job.id], 0.0) for job in jobs if job.id in seconds]


def usage_table(usages: Iterable[Usage], lost: Iterable[Usage] = ()) -> str:
    """One line per rule: what its jobs asked for and used, and the GPU hours, also those of `lost` attempts.

    Empty where there is nothing to tell.
    """
    by_rule: dict[str, list[Usage]] = {}
    for usage in usages:
        by_rule.setdefault(usage.job.rule, []).append(usage)
    lost_hours: defaultdict[str, float] = defaultdict(float)
    for usage in lost:
        lost_hours[usage.job.rule] += usage.gpu_hours
    rows = []
    for rule in dict.fromkeys([*by_rule, *(rule for rule, hours in lost_hours.items() if hours)]):
        *used, remark = _cells(by_rule.get(rule, []))
        rows.append([rule, *used, f"{lost_hours[rule]:.2f}" if lost_hours[rule] else "", remark])
    headers = [
        "step",
        "jobs",
        "most minutes of those asked",
        "most MB of those asked",
        "GPU hours",
        "and without result",
        "",
    ]
    return tabulate(rows, headers, disable_numparse=True) if rows else ""


def _cells(group: Sequence[Usage]) -> list[str | int]:
    """Of a rule's jobs: their number, the most minutes and MB, the GPU hours, a remark; empty where none ended well."""
    if not group:
        return [0, "", "", "", ""]
    minutes, memory = max(one.job.minutes for one in group), max(one.job.memory for one in group)
    used_minutes, used_memory = max(one.seconds for one in group) / 60, max(one.memory for one in group)
    return [
        len(group),
        f"{used_minutes:.1f} of {minutes:,}",
        f"{used_memory:,.0f} of {memory:,}",
        f"{sum(one.gpu_hours for one in group):.2f}" if any(one.job.gpus for one in group) else "",
        "asks for much more memory than it uses" if memory and used_memory < LITTLE * memory else "",
    ]


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
