"""What was submitted to the cluster, in a file that later starts and the status read: one line per job.

Snakemake writes a result's provenance when its own main process sees the job end. A job that outlived a killed main
process has none, and its result, which may have taken a day, would be made again. This file holds what the provenance
would have said, so that the next start can accept the result if nothing has changed since.

Before its first job, each start notes the name that all of its jobs have in SLURM: a job that was sent, but not noted
because the main process was killed or the disk was full, is known by that name.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from llamaduo.storage.append_log import append_json, read_json_lines
from llamaduo.storage.canonical import digest

SUBMITTED = Path("settings/submitted.jsonl")
"""The file, in the results folder."""
MAIN_PROCESS = Path("settings/workflow")
"""What the main process holds a lease on, in the results folder."""
TIMESTAMP = ".snakemake_timestamp"
"""The file in which Snakemake keeps the time of a folder."""


@dataclass(frozen=True)
class Submitted:
    """One job: its id in SLURM, the rule, the first output, and a digest of what it was to do.

    The digest is over settings, code and the names of inputs. `time` is when it was submitted (seconds of the epoch);
    `benchmark` the file of the time and memory that it took; what it asked for is in MB, minutes, cores and GPUs.
    `run` is its name in SLURM, which all jobs of one start share, and `place` the folder that the workflow runs in.
    `inputs` is a digest of the times of its inputs, `before` are the times of those outputs that were there already.
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
    run: str = ""
    place: str = ""
    inputs: str = ""
    before: Mapping[str, float] = field(default_factory=dict)


def note(file: Path, job: Submitted) -> None:
    """Append a line about a job."""
    append_json(file, asdict(job))


def note_start(file: Path, run: str, place: Path) -> None:
    """Append a line about a start in the folder `place`, whose jobs will all be named `run`."""
    append_json(file, {"start": run, "place": str(place.resolve())})


def note_end(file: Path, id: str, seconds: float) -> None:
    """Append a line about a job that has ended without a result, after it ran for so many seconds."""
    append_json(file, {"ended": id, "seconds": seconds})


def read_ends(file: Path) -> dict[str, float]:
    """The seconds of the jobs that are known to have ended without a result, by their ids."""
    ends = (line for line in read_json_lines(file) if "ended" in line)
    return {str(line["ended"]): float(line["seconds"]) for line in ends if isinstance(line.get("seconds"), int | float)}


def read(file: Path) -> dict[str, Submitted]:
    """The jobs by their ids; the last line about an id holds. A line that a kill cut off is passed over."""
    jobs = {}
    for values in read_json_lines(file):
        try:
            job = Submitted(**values)
        except TypeError:
            continue
        jobs[job.id] = job
    return jobs


def read_starts(file: Path, place: Path) -> set[str]:
    """The names of the jobs of all starts in the folder `place`: a copy of the folder does not own the jobs."""
    starts = (line for line in read_json_lines(file) if "start" in line)
    return {line["start"] for line in starts if line.get("place") == str(place.resolve())}


def times_of(files: Iterable[Path]) -> dict[str, float]:
    """When each of the files and folders that are there was last changed, as its file system says."""
    times = {}
    for file in files:
        for stamp in (file / TIMESTAMP, file):
            try:
                times[str(file)] = stamp.stat().st_mtime
            except OSError:
                continue
            break
    return times


def digest_of_times(files: Iterable[Path]) -> str:
    """What tells whether any of the files has been changed or removed, by no clock but that of their file system."""
    return digest(times_of(files))


def is_made(outputs: Sequence[Path], before: Mapping[str, float]) -> bool:
    """Whether a job has made all of its outputs, of which there were those `before`, as `times_of` tells.

    Outputs are renamed into place when they are whole, and are removed before the job begins.
    """
    times = times_of(outputs)
    return all(str(file) in times and times[str(file)] != before.get(str(file)) for file in outputs)
