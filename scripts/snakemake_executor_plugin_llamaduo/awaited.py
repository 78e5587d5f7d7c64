"""Which steps wait for batches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake.io import IOFile

from llamaduo.config.root import Config
from llamaduo.workflow.layout import Results, baseline_step, batches_place, judging_step, synthesis_step


@dataclass(frozen=True)
class Awaited:
    """The inputs with which steps wait for batches; none for a step that asks online."""

    workflow: Any
    config: Config
    results: Results

    def grades(self, subject: str, judge: str) -> list[Path]:
        """Of a judge."""
        return self._answered(judge, judging_step(subject, judge), self.results.grades(subject, judge))

    def responses(self, task: str, service: str) -> list[Path]:
        """Of a service's own responses."""
        table = self.results.baseline(task, service) / "responses.parquet"
        return self._answered(service, baseline_step(task, service), table)

    def pairs(self, task: str, generator: str, chunk: str) -> list[Path]:
        """Of a generator's chunk."""
        table = self.results.chunk(task, generator, chunk)
        return self._answered(generator, synthesis_step(task, generator, chunk), table)

    def _answered(self, service: str, step: str, table: Path) -> list[Path]:
        """The file that tells that a step's batches have been awaited.

        A change of the mode must not make Snakemake see other inputs than a table was made from, and make it again. So
        where there is a table, what counts is how it was made; the mode counts for what is to be made.
        """
        place, _, _ = batches_place(step).rpartition("/")
        answered, by_batch = self.results.batches(place, service, "answered"), self._asks_by_batch(service)
        if not self.workflow.is_main_process:
            return [answered] if answered.is_file() else []
        if not by_batch and not answered.is_file():
            return []
        made_from = self.workflow.persistence.input(IOFile(str(table))) if table.is_file() else None
        if made_from is not None:
            return [answered] if str(answered) in made_from else []
        return [answered] if by_batch else []

    def _asks_by_batch(self, service: str) -> bool:
        return self.config.services[service].mode == "batch"
