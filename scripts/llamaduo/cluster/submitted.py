"""What was submitted to the cluster, in a file that later starts and the status read: one line per job.

Snakemake writes a result's provenance when its own main process sees the job end. A job that outlived a killed main
process has none, and its result, which may have taken a day, would be made again. This file holds what the provenance
would have said, so that the next start can accept the result if nothing has changed since.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Submitted:
    """One job: its id in SLURM, the rule, the first output, and a digest of what it was to do.

    The digest is over settings, code and the names of inputs. `time` is when it was submitted (seconds of the epoch);
    `benchmark` the file of the time and memory that it took; what it asked for is in MB, minutes, cores and GPUs.
    """

    id: str
    rule: str
    output: str
    benchmark: str
    digest: str
    time: float
    memory: int
    minutes: int
    cores: int
    gpus: int


def note(file: Path, job: Submitted) -> None:
    """Append a line. A line is short enough to be written whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(job)) + "\n")


def read(file: Path) -> dict[str, Submitted]:
    """The jobs by their ids; the last line about an id holds. A line that a kill cut off is passed over."""
    jobs = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else []:
        try:
            job = Submitted(**json.loads(line))
        except (ValueError, TypeError):
            continue
        jobs[job.id] = job
    return jobs


def is_made(outputs: Sequence[Path], submitted: float) -> bool:
    """Whether a job that was submitted at a time has made all of its outputs.

    Outputs are renamed into place when they are whole, and were removed before the job began.
    """
    return all(file.exists() and file.stat().st_mtime >= submitted for file in outputs)


def are_unchanged(inputs: Sequence[Path], submitted: float) -> bool:
    """Whether the inputs of a job have not changed since it was submitted."""
    return all(file.exists() and file.stat().st_mtime <= submitted for file in inputs)
