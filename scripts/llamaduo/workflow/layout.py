"""Where every artifact lies: the only module that spells a path under the results and the state folder.

Names are wildcards' values. A name may also be a wildcard itself, such as "{task}": the path is then a rule's pattern.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llamaduo.config.root import WITHOUT_GENERATOR

# What is graded: the responses of a run's cycle, or those of a baseline.
SUBJECT_PATTERN = r"runs/[^/]+/[^/]+/[^/]+/volume-\d+|baselines/[^/]+/[^/]+"
# The places of steps whose batches are awaited, under the folders of batches.
BATCHES_PATTERN = r"(judging|baselines|synthesis)/.+"

About = dict[str, str | int]


@dataclass(frozen=True)
class Results:
    """The folder of all artifacts."""

    root: Path

    # Coverage, pools and datasets

    def split(self, task: str, split: str) -> Path:
        """A task's `train` or `test` split."""
        return self.root / "coverage" / task / f"{split}.parquet"

    def pools(self, task: str, generator: str) -> Path:
        """The folder of a generator's chunks, pools and measurements."""
        return self.root / "synthesis" / task / generator

    def chunk(self, task: str, generator: str, chunk: str | int) -> Path:
        """What one chunk of calls wrote."""
        return self.pools(task, generator) / f"chunk-{chunk}.parquet"

    def pool(self, task: str, generator: str, chunks: str | int) -> Path:
        """The folder of the pool that was curated from the first `chunks` chunks."""
        return self.pools(task, generator) / f"chunks-{chunks}"

    def funnel(self, task: str, generator: str, chunks: str | int) -> Path:
        """How many rows of a pool each filter took."""
        return self.pool(task, generator, chunks) / "funnel.json"

    def funnels(self, task: str, generator: str) -> Iterator[Path]:
        """The funnels of all pools that were curated."""
        return self.pools(task, generator).glob("chunks-*/funnel.json")

    def measured_pool(self, task: str, generator: str, volume: str | int) -> Path:
        """Whether a pool has reached a volume, and of how many chunks it is made."""
        return self.pools(task, generator) / f"volume-{volume}.json"

    def dataset(self, task: str, generator: str, volume: str | int) -> Path:
        """What a cycle trains on."""
        return self.root / "datasets" / task / generator / f"volume-{volume}.parquet"

    # Runs and baselines

    def run(self, task: str, generator: str, model: str) -> Path:
        """The folder of a run."""
        return self.root / "runs" / task / generator / model

    def verdict(self, task: str, generator: str, model: str) -> Path:
        """How a run has ended."""
        return self.run(task, generator, model) / "verdict.json"

    def cycle(self, task: str, generator: str, model: str, volume: str | int) -> Path:
        """The folder of a run's cycle; the one of volume 0 is shared by all generators."""
        return self.run(task, generator if str(volume) != "0" else WITHOUT_GENERATOR, model) / f"volume-{volume}"

    def baseline(self, task: str, name: str) -> Path:
        """The folder of a service's own responses, or of those of an untuned model."""
        return self.baselines(task) / name

    def baselines(self, task: str) -> Path:
        """The folder of a task's baselines."""
        return self.root / "baselines" / task

    def subject(self, subject: str) -> Path:
        """The folder of what is graded: a cycle's or a baseline's."""
        return self.root / subject

    def grades(self, subject: str, judge: str) -> Path:
        """The grades of one judge."""
        return self.subject(subject) / "grades" / f"{judge}.parquet"

    def deployment(self, task: str, generator: str, model: str) -> Path:
        """The folder of a deployed model and of its verification."""
        return self.root / "deploy" / task / generator / model

    # What services were asked

    @property
    def costs(self) -> Path:
        """The folder of what calls cost, by step."""
        return self.root / "costs"

    def cost_table(self, step: str) -> Path:
        """What the calls of a step cost."""
        return self.costs / f"{step}.parquet"

    def batches(self, place: str, service: str, event: str) -> Path:
        """The note that a step's batches were `submitted`, or have been `answered`."""
        return self.root / "batches" / place / f"{service}.{event}.json"

    @property
    def pilot_costs(self) -> Path:
        """What the pilot's calls cost."""
        return self.root / "pilot" / "costs.parquet"

    @property
    def pilot_yields(self) -> Path:
        """The shares of the pilot's pairs that curation accepted."""
        return self.root / "pilot" / "yields.json"

    @property
    def estimate(self) -> Path:
        """The estimate of a config's work."""
        return self.root / "estimate.json"

    # Beside the results

    def report(self, page: str = "index") -> Path:
        """The report: `index` of what the loop made, `sweep` of all volumes."""
        return self.root / "report" / f"{page}.html"

    @property
    def notes(self) -> Path:
        """The folder of settings, and of what starts of the workflow tell each other."""
        return self.root / "settings"

    def note(self, name: str) -> Path:
        """A file in that folder."""
        return self.notes / name

    @property
    def provenance(self) -> Path:
        """What Snakemake recorded of the results."""
        return self.root / "provenance" / "records.json"

    def settings(self, kind: str, names: tuple[str, ...] = ()) -> Path:
        """The settings of the steps of a kind, those about the same `names`."""
        return self.notes.joinpath(kind, *names).with_name(f"{(kind, *names)[-1]}.json")

    def artifacts(self) -> Iterator[Path]:
        """All files and folders that are there, but those about the starts of the workflow."""
        beside = {self.notes, self.logs, self.root / "benchmarks", self.provenance.parent}
        for folder in self.root.glob("*"):
            if folder not in beside:
                yield from folder.rglob("*")

    def log(self, path: str) -> Path:
        """A job's log."""
        return self.root / "logs" / f"{path}.log"

    @property
    def logs(self) -> Path:
        """The folder of all logs."""
        return self.root / "logs"

    def benchmark(self, path: str) -> Path:
        """A job's time and memory."""
        return self.root / "benchmarks" / f"{path}.tsv"


@dataclass(frozen=True)
class State:
    """The folder of what was paid for or takes hours; no rule declares it as its output."""

    root: Path

    @property
    def journals(self) -> Path:
        """The folder of all journals."""
        return self.root / "journal"

    def journal(self, step: str) -> Path:
        """The journal of a step that asks a service."""
        return self.journals / f"{step}.jsonl"

    @property
    def batches(self) -> Path:
        """The folder of all steps' batches, under way and ended."""
        return self.root / "batches"

    @property
    def ledger(self) -> Path:
        """Where steps keep their claims on the budget."""
        return self.root / "ledger"

    @property
    def checkpoints(self) -> Path:
        """The folder of unfinished trainings."""
        return self.root / "checkpoints"

    @property
    def responses(self) -> Path:
        """The folder of finished responses."""
        return self.root / "responses"

    def curation(self, task: str, generator: str) -> Path:
        """The decisions and indexes of a pool."""
        return self.root / "curation" / task / generator

    @property
    def digests(self) -> Path:
        """The digests of the user's files, by their times."""
        return self.root / "digests.json"

    @property
    def prefetched(self) -> Path:
        """What `prefetch` has fetched."""
        return self.root / "prefetched.json"


# The names of the steps that ask a service: the places of their journals and costs.


def synthesis_step(task: str, generator: str, chunk: str | int) -> str:
    """A generator's chunk of calls."""
    return f"synthesis/{task}/{generator}/chunk-{chunk}"


def judging_step(subject: str, judge: str) -> str:
    """The grades of a subject by one judge."""
    return f"judging/{subject}/{judge}"


def baseline_step(task: str, service: str) -> str:
    """A service's own responses."""
    return f"baselines/{task}/{service}"


def batches_place(step: str) -> str:
    """The place of a step's batches: its name, with the service it asks at the end."""
    kind, *names = step.split("/")
    return "/".join([kind, *names[:-2], names[-1], names[-2]]) if kind == "synthesis" else step


def about(step: str) -> About:
    """What the costs of a step are about: task, and what is known of generator, model, volume and chunk.

    Raises `ValueError` for a name that is none of the above.
    """
    match step.split("/"):
        case "synthesis", task, generator, chunk:
            return {"task": task, "generator": generator, "chunk": int(chunk.removeprefix("chunk-"))}
        case "judging", "runs", task, generator, model, volume, _:
            number = int(volume.removeprefix("volume-"))
            return {"task": task, "generator": generator, "model": model, "volume": number}
        case "judging", "baselines", task, name, _:
            return {"task": task, "model": name}
        case "baselines", task, _:
            return {"task": task}
    raise ValueError(f"{step}: not the name of a step that asks a service")


def split_of_subject(subject: str) -> tuple[str, str]:
    """The kind of a subject (runs or baselines) and its task."""
    kind, task, *_ = subject.split("/")
    return kind, task


def cost_tables(results: Results) -> Iterator[tuple[str, Path]]:
    """The steps that have told their costs, and their tables."""
    for path in sorted(results.costs.rglob("*.parquet")):
        yield path.relative_to(results.costs).with_suffix("").as_posix(), path
