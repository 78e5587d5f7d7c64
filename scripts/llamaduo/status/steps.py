"""Steps that are going on or have failed, by the paths of their outputs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llamaduo.cluster.queue import ClusterJob
from llamaduo.cluster.submitted import Submitted
from llamaduo.storage.files import read_json


@dataclass(frozen=True)
class Failed:
    """A step that has failed in its last attempt: its rule, its outputs, its log, or why it was not even submitted."""

    rule: str
    outputs: tuple[str, ...]
    log: str
    reason: str = ""


def read_failed(file: Path) -> list[Failed]:
    """The steps that failed in the last start, or so far in one that is going on."""
    if not file.is_file():
        return []
    return [Failed(**step | {"outputs": tuple(step["outputs"])}) for step in read_json(file)["failed"]]


@dataclass(frozen=True)
class LiveStep:
    """A step whose job lives: its rule, its first output, the job."""

    rule: str
    output: str
    job: ClusterJob

    def __str__(self) -> str:
        """What it does, where and for how long."""
        job = self.job
        if job.waits:
            return f"pending: {self.rule}, job {job.id} {job.where}"
        return f"running: {self.rule}, job {job.id} on {job.where} for {job.used}"


def live_steps(submitted: Iterable[Submitted], queue: Iterable[ClusterJob], folder: Path) -> list[LiveStep]:
    """The submitted steps whose jobs live, of the workflow that runs in `folder`."""
    alive = {(job.id, job.name): job for job in queue if job.lives}
    here = [step for step in submitted if step.place == str(folder.resolve())]
    return [LiveStep(one.rule, one.output, alive[one.id, one.run]) for one in here if (one.id, one.run) in alive]
