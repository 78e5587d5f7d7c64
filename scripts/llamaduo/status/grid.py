"""The grid of runs as it stands: one line per run with what it is doing."""

from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from llamaduo.cli.logs import last_lines
from llamaduo.config.root import WITHOUT_GENERATOR
from llamaduo.report.results import Results
from llamaduo.report.runs import Run
from llamaduo.report.scores import Criterion
from llamaduo.report.summary import entries, verdict_in_words
from llamaduo.status.spending import Spent, of_run, shown
from llamaduo.status.steps import Failed, LiveStep
from llamaduo.status.usage import Usage
from llamaduo.workflow import layout

LINES_SHOWN = 5
"""Of the log of a failed step."""


def grid_table(
    results: Results,
    folder: Path,
    live: Sequence[LiveStep],
    failed: Sequence[Failed],
    usage: Sequence[Usage],
    spent: Sequence[Spent],
) -> str:
    """One line per run: cycles, state, V by metric, verdict, GPU hours, dollars.

    `folder` is the results folder, `live` what its jobs do, `usage` what all attempts have used, those without a result
    too. What several runs share (the cycle at volume 0) counts for each of them in the state and the GPU hours, and for
    none in the dollars, which can thus be added up.
    """
    rows = []
    for run in results.runs:
        own = _folders(run, folder)
        hours = sum(one.gpu_hours for one in usage if _inside(one.job.output, own))
        rows.append(
            [
                run.name.task,
                run.name.generator,
                run.name.model,
                "" if run.volume is None else f"{run.trained} (volume {run.volume:,})",
                _state(run, own, live, failed),
                _scores(results, run),
                verdict_in_words(run) if run.verdict in ("converged", "exhausted") else "",
                f"{hours:.2f}" if hours else "",
                shown(of_run(spent, run.name)),
            ]
        )
    headers = ["task", "generator", "model", "cycles", "state", "V", "verdict", "GPU hours", "dollars"]
    return tabulate(rows, headers, disable_numparse=True)


def other_steps(results: Results, folder: Path, live: Sequence[LiveStep]) -> list[str]:
    """What lives beside the runs: coverage, synthesis, baselines."""
    own = [place for run in results.runs for place in _folders(run, folder)]
    return [f"{step.output}: {step}" for step in live if not _inside(step.output, own)]


def failures(failed: Sequence[Failed]) -> list[str]:
    """The failed steps, each with its log's path and last lines, or with why it was not submitted."""
    lines = []
    for step in failed:
        lines.append(f"failed: {step.rule}: {' '.join(step.outputs)}")
        if step.reason:
            lines.append(f"  not submitted: {step.reason}")
        else:
            lines.append(f"  log: {step.log}")
            lines += [f"  | {line}" for line in last_lines(Path(step.log), LINES_SHOWN)]
    return lines


def _state(run: Run, own: Sequence[str], live: Sequence[LiveStep], failed: Sequence[Failed]) -> str:
    doing = [str(step) for step in live if _inside(step.output, own)]
    broken = [
        f"failed: {step.reason or step.log}" for step in failed if any(_inside(output, own) for output in step.outputs)
    ]
    if doing or broken:
        return "\n".join([*broken, *doing])
    return "; ".join(run.missing) if run.missing else "done"


def _scores(results: Results, run: Run) -> str:
    shown = []
    for metric in results.plan.metrics:
        found = entries(results, run, Criterion(metric, "mean", None))
        if found:
            shown.append(f"{metric} {found[0].score.value:.1f}")
    return ", ".join(shown)


def _folders(run: Run, folder: Path) -> list[str]:
    name, results = run.name, layout.Results(folder)
    if run.tuned_elsewhere:
        return [f"{results.baseline(name.task, name.model)}/"]
    return [f"{results.run(name.task, generator, name.model)}/" for generator in (name.generator, WITHOUT_GENERATOR)]


def _inside(output: str, folders: Sequence[str]) -> bool:
    return any(output.startswith(folder) for folder in folders)
