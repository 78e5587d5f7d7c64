"""Have a service LLM grade every response M times by the metrics that are named."""

from pathlib import Path

from llamaduo.cli.program import run
from llamaduo.config.budget import BudgetSettings
from llamaduo.config.judging import JudgingSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.service.prompts import JudgePrompts


def main(
    *,
    responses: Path,
    judge: str,
    service: ServiceSettings,
    prompts: JudgePrompts,
    journal: Path,
    output: Path,
    settings: JudgingSettings,
    budget: BudgetSettings | None = None,
    costs: Path | None = None,
    about: dict[str, str | int] | None = None,
    batches: Path | None = None,
    step: str = "",
    submitted: Path | None = None,
) -> None:
    """Grade responses; answers that the journal already has are not asked for again.

    Args:
        responses: parquet table of responses
        judge: name of the judge, as it stands in the column evaluators
        service: the service LLM that judges
        prompts: wording of the judge's prompt, and the text of each metric (section judge of prompts.toml)
        journal: append-only file of all service calls
        output: parquet table of grades
        settings: how often, by which metrics and how strictly
        budget: what all steps of the workflow may spend; the step stops before the call that would exceed it
        costs: parquet table of what the answers cost
        about: what the costs are about, by task, generator, model, volume and chunk
        batches: folder of all steps' batches, under way and ended
        step: the step's place in that folder
        submitted: only submit what is missing to the vendor's batch API, then write this file
    """
    from llamaduo.cli.errors import InputError
    from llamaduo.judging.grades import check_ungraded, graded, requests
    from llamaduo.judging.judgement import Judgement, read
    from llamaduo.service.budget.usage import costs_row
    from llamaduo.service.interface import Answer
    from llamaduo.service.prompts import JUDGE_PLACEHOLDERS, check, for_metrics
    from llamaduo.service.step import ask_for_step
    from llamaduo.storage.schemas.costs import COSTS
    from llamaduo.storage.schemas.grades import grades_schema
    from llamaduo.storage.schemas.responses import RESPONSES
    from llamaduo.storage.tables import read_rows, write_rows

    def accept(answer: Answer) -> Judgement:
        return read(answer, settings.metrics)

    check(prompts, JUDGE_PLACEHOLDERS, "--prompts")
    wording = for_metrics(prompts, settings.metrics, "--prompts")
    rows = read_rows(responses, RESPONSES)
    if not rows:
        raise InputError(f"{responses}: no rows; there is nothing to grade")
    asked = requests(rows, settings, wording, service.generation.judge)
    label = f"grading by {judge}"
    outcomes = ask_for_step(
        judge,
        service,
        asked,
        accept,
        journal,
        label,
        budget=budget,
        batches=batches,
        step=step,
        submitted=submitted,
    )
    if outcomes is None:
        return
    check_ungraded(outcomes, settings.maximum_ungraded, judge)
    if costs is not None:
        write_rows(costs, [costs_row("judge", judge, service, asked, outcomes, about or {})], COSTS)
    write_rows(output, graded(rows, asked, outcomes, judge, settings.metrics), grades_schema(settings.metrics))


if __name__ == "__main__":
    run(main, __doc__)
