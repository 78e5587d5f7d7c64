"""The loop: which artifacts a step, a run and a target need, as far as decisions and yields are known.

What is known is read by functions that are handed in: the workflow's read the results of its checkpoints.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from llamaduo.cli.errors import InputError
from llamaduo.config.root import WITHOUT_GENERATOR, Config
from llamaduo.synthesis.chunks import first_chunks, next_chunks
from llamaduo.workflow.layout import Results, split_of_subject


class Read(Protocol):
    """Reads the JSON artifact at a path; `names` are the wildcards of the step that makes it."""

    def __call__(self, path: Path, **names: str) -> Any: ...


@dataclass(frozen=True)
class Loop:
    """What is asked for where, in a config's results folder."""

    config: Config
    results: Results

    # Pools and datasets

    def chunks_of_pool(self, task: str, generator: str, chunks: str) -> list[Path]:
        """The chunks that a pool is curated from."""
        return [self.results.chunk(task, generator, chunk) for chunk in range(int(chunks))]

    def last_pool(self, task: str, generator: str, volume: str, read: Read) -> Path:
        """The funnel of the pool that holds a volume, or that is at the bound: follows the measured yield.

        Reads one funnel after another, each of a pool as large as the yields so far say is needed.
        """
        settings, history = self.config.synthesis, list[tuple[int, int]]()
        chunks: int | None = first_chunks(int(volume), settings)
        while chunks is not None:
            funnel = self.results.funnel(task, generator, chunks)
            found = read(funnel, task=task, generator=generator, chunks=str(chunks))
            history.append((chunks, found["accepted"]))
            chunks = next_chunks(int(volume), history, settings)
        return funnel

    def pool_of_dataset(self, task: str, generator: str, volume: str, read: Read) -> list[Path]:
        """The pool that a dataset takes its first `volume` rows from; none at volume 0."""
        if generator == WITHOUT_GENERATOR:
            return []
        measured = read(
            self.results.measured_pool(task, generator, volume), task=task, generator=generator, volume=volume
        )
        return [self.results.pool(task, generator, measured["chunks"]) / "pool.parquet"]

    # Cycles

    def cycle_number(self, task: str, volume: str) -> int:
        """The cycle's number: the place of its volume among the task's.

        Raises `InputError` for a volume that the task does not have.
        """
        volumes = self.config.tasks[task].volumes
        if int(volume) not in volumes:
            raise InputError(f"tasks.{task}.volumes has no {volume}: {volumes}")
        return volumes.index(int(volume))

    def is_last_cycle(self, task: str, volume: str) -> bool:
        """Whether no larger volume is left."""
        return self.cycle_number(task, volume) == len(self.config.tasks[task].volumes) - 1

    def previous_adapter(self, task: str, generator: str, model: str, volume: str) -> list[Path]:
        """The adapter of the cycle before, where training starts from it."""
        cycle = self.cycle_number(task, volume)
        if not cycle or not self.config.training_for(task, model, int(volume)).warm_start:
            return []
        before = self.config.tasks[task].volumes[cycle - 1]
        return [self.results.cycle(task, generator, model, before) / "adapter"]

    def grades_of_subject(self, subject: str) -> list[Path]:
        """The grades of a cycle's or a baseline's responses by every judge that its task allows."""
        _, task = split_of_subject(subject)
        return [self.results.grades(subject, judge) for judge in self.config.judges_of(task)]

    def metrics_of_reference(self, task: str) -> list[Path]:
        """The metrics of the service LLM that must be matched, where a threshold is a share of its own."""
        if not self.config.decision.needs_service:
            return []
        return [self.results.baseline(task, self.config.tasks[task].reference) / "metrics.parquet"]

    def evidence(self, task: str, generator: str, model: str, volume: str, read: Read) -> dict[str, Path]:
        """The metrics of a cycle, or the reason why its volume could not be reached.

        `read` gives None for a pool that is not measured yet: the plan is then that it will do.
        """
        metrics = {"metrics": self.results.cycle(task, generator, model, volume) / "metrics.parquet"}
        if generator == WITHOUT_GENERATOR:
            return metrics
        pool = self.results.measured_pool(task, generator, volume)
        measured = read(pool, task=task, generator=generator, volume=volume)
        return {"pool": pool} | (metrics if measured is None or measured["reached"] else {})

    # Runs

    def decisions_of_run(self, task: str, generator: str, model: str, read: Read) -> list[Path]:
        """A run's decisions, each the condition for the next, up to the first that ends it."""
        paths: list[Path] = []
        for volume in self.config.tasks[task].volumes:
            paths.append(self.results.cycle(task, generator, model, volume) / "decision.json")
            names = {"task": task, "model": model, "volume": str(volume)}
            if read(paths[-1], generator=generator if volume else WITHOUT_GENERATOR, **names)["verdict"] != "expand":
                break
        return paths

    def deployment_of_run(self, task: str, generator: str, model: str, read: Read) -> list[Path]:
        """The verification of the deployed model, when the run has converged."""
        last: list[Any] = []

        def remembered(path: Path, **names: str) -> Any:
            last.append(read(path, **names))
            return last[-1]

        self.decisions_of_run(task, generator, model, remembered)
        if last[-1]["verdict"] != "converged":
            return []
        return [self.results.deployment(task, generator, model) / "verification.json"]

    def converged_cycle(self, task: str, generator: str, model: str, read: Read) -> Path:
        """The folder of the cycle in which a run converged."""
        return self.decisions_of_run(task, generator, model, read)[-1].parent

    def removed_deployments(self) -> list[Path]:
        """What is missing of the deployed models of closed runs; Snakemake makes only missing targets again."""
        closed = [run for run in self.config.runs() if self.results.verdict(*run).exists()]
        parts = [self.results.deployment(*run) / name for run in closed for name in ("model", "verification.json")]
        return [part for part in parts if not part.exists()]

    def followers(self, task: str, generator: str, model: str) -> list[tuple[str, dict[str, str]]]:
        """Rules and wildcards of the largest steps that an undecided run may come to."""
        volume = max(self.config.tasks[task].volumes)
        names = {"task": task, "model": model, "volume": str(volume)}
        found = [("finetune", names), ("respond", names), ("deploy_model", {"model": model})]
        if volume and not self.results.measured_pool(task, generator, volume).is_file():
            found.append(("curate", {"chunks": str(first_chunks(volume, self.config.synthesis))}))
        return found

    # Targets

    def verdicts(self) -> list[Path]:
        """The closing artifacts of all runs, and of the models that were tuned elsewhere."""
        closed = [self.results.verdict(*run) for run in self.config.runs()]
        elsewhere = [(task, model) for task in self.config.tasks for model in self.config.models_tuned_elsewhere()]
        return closed + [self.results.baseline(task, model) / "decision.json" for task, model in elsewhere]

    def baselines(self) -> list[Path]:
        """The metrics of the services' own responses and of the untuned models'."""
        untuned = self.config.trained_models() if self.config.baselines.untuned else []
        return [
            self.results.baseline(task, name) / "metrics.parquet"
            for task in self.config.tasks
            for name in [*self.config.baseline_services(task), *untuned]
        ]

    def decisions_of_sweep(self) -> list[Path]:
        """The decisions of every volume of every run."""
        cycles = [(*run, volume) for run in self.config.runs() for volume in self.config.tasks[run[0]].volumes]
        return list(dict.fromkeys(self.results.cycle(*cycle) / "decision.json" for cycle in cycles))
