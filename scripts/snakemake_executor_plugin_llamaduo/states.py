"""What became of jobs, from a row of SLURM's answers: states that mean the same to Snakemake get one name."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

UNSEEN_ANSWERS = 3
"""In so many answers in a row a job is missing before it counts as gone: SLURM forgets jobs after their end."""
NEVER_SEEN_ANSWERS = 30
"""The same for a job that no answer has told yet: accounting may be minutes behind. So many answers take an hour."""
PREEMPTED_ANSWERS = 2
"""In so many answers a job is preempted before it counts as ended: SLURM may queue it again in between."""
GONE = "UNKNOWN"
"""The plugin takes it for an end without failure; Snakemake then looks whether the outputs are there."""

TOGETHER = re.compile(r"(\d+)_\[([\d,-]+)(?:%\d+)?\]")
"""Tasks of an array in one row, as SLURM tells those that never began: 7_[2-4,9%2]."""
OUT_OF_MEMORY = re.compile(
    r"^slurmstepd\S*: .*(oom.kill|out.of.memory|exceeded.*memory limit)", re.IGNORECASE | re.MULTILINE
)
"""What SLURM's keeper of a job writes into its log, with cgroups and without."""


def ran_out_of_memory(state: str, log: Path | None) -> bool:
    """Whether a failed job ended for want of memory, by its state, or where that does not say so, by SLURM's log."""
    if "OUT_OF_MEMORY" in state:
        return True
    try:
        text = log.read_bytes().decode(errors="replace") if log is not None else ""
    except OSError:
        return False
    return bool(OUT_OF_MEMORY.search(text))


class JobStates:
    """Remembers what the earlier answers said."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._unseen: Counter[str] = Counter()
        self._preempted: Counter[str] = Counter()
        self.gone: set[str] = set()
        """The jobs that SLURM has forgotten: what they have made is not known."""

    def settle(self, told: Mapping[str, str], active: Collection[str]) -> dict[str, str]:
        """One state per job: as told, but

        - a cancelled job is CANCELLED, whoever cancelled it ("CANCELLED by 1000");
        - a preempted job that SLURM does not put back into the queue is CANCELLED too;
        - tasks of an array that are told in one row have its state each;
        - an active job that SLURM has forgotten is `GONE`.
        """
        states = {job: state.split()[0].rstrip("+") for job, state in told.items() if state}
        for row, state in list(states.items()):
            states |= dict.fromkeys(_tasks_of(row) & set(active), state)
        for job, state in states.items():
            if state != "PREEMPTED":
                self._preempted.pop(job, None)
                continue
            self._preempted[job] += 1
            states[job] = "CANCELLED" if self._preempted[job] >= PREEMPTED_ANSWERS else "REQUEUED"
        arrays = {job.split("_[")[0] for job in states if "_[" in job}
        for job in active:
            if job in states or job.split("_")[0] in arrays or job.split("_")[0] in states:
                self._seen.add(job)
                self._unseen.pop(job, None)
                continue
            self._unseen[job] += 1
            if self._unseen[job] >= (UNSEEN_ANSWERS if job in self._seen else NEVER_SEEN_ANSWERS):
                states[job] = GONE
                self.gone.add(job)
        return states


def _tasks_of(row: str) -> set[str]:
    """The tasks that a row tells together; none where it tells of one job, or leaves some of its tasks out."""
    found = TOGETHER.fullmatch(row)
    if not found:
        return set()
    array, numbers = found.groups()
    ends = [part.partition("-") for part in numbers.split(",")]
    return {f"{array}_{task}" for first, _, last in ends for task in range(int(first), int(last or first) + 1)}
