"""What plots and tables rest on: the plan, the runs and the baselines, read once."""

from collections.abc import Sequence
from dataclasses import dataclass

from llamaduo.report.baselines import Baseline, read_baselines
from llamaduo.report.plan import Plan
from llamaduo.report.reading import Reader
from llamaduo.report.runs import Run, read_runs
from llamaduo.report.scores import Score


@dataclass(frozen=True)
class Results:
    """The runs of a plan, in its order, and the baselines that they are compared with."""

    plan: Plan
    runs: Sequence[Run]
    baselines: Sequence[Baseline]

    def of_reference(self, task: str) -> tuple[Score, ...]:
        """The scores of the service LLM that must be matched; empty where they do not exist."""
        return self._baseline(task, self.plan.tasks[task].reference)

    def as_it_came(self, task: str, model: str) -> tuple[Score, ...]:
        """The scores of a model before any training here: untuned, or as it was tuned elsewhere."""
        elsewhere = [
            run for run in self.runs if run.tuned_elsewhere and (run.name.task, run.name.model) == (task, model)
        ]
        cycles = elsewhere[0].cycles if elsewhere else ()
        return cycles[0].scores if cycles else self._baseline(task, model)

    def _baseline(self, task: str, name: str) -> tuple[Score, ...]:
        return next((found.scores for found in self.baselines if (found.task, found.name) == (task, name)), ())


def read_results(reader: Reader, plan: Plan) -> Results:
    """Whatever exists of a plan's runs and baselines."""
    return Results(plan, read_runs(reader, plan), read_baselines(reader, plan))
