"""Have a service LLM grade every response M times by the metrics that are named."""

from pathlib import Path

from llamaduo.config.judging import JudgingSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.program import run
from llamaduo.prompts import JudgePrompts


def main(
    *,
    responses: Path,
    judge: str,
    service: ServiceSettings,
    prompts: JudgePrompts,
    journal: Path,
    output: Path,
    settings: JudgingSettings,
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
    """
    from llamaduo.errors import InputError
    from llamaduo.judging.grades import check_ungraded, graded, requests
    from llamaduo.judging.judgement import read
    from llamaduo.prompts import JUDGE_PLACEHOLDERS, check, for_metrics
    from llamaduo.schemas.grades import grades_schema
    from llamaduo.schemas.responses import RESPONSES
    from llamaduo.service.client import ask_all
    from llamaduo.tables import read_rows, write_rows

    check(prompts, JUDGE_PLACEHOLDERS, "--prompts")
    wording = for_metrics(prompts, settings.metrics, "--prompts")
    rows = read_rows(responses, RESPONSES)
    if not rows:
        raise InputError(f"{responses}: no rows; there is nothing to grade")
    asked = requests(rows, settings, wording, service.generation.judge)
    outcomes = ask_all(
        judge, service, asked, lambda answer: read(answer, settings.metrics), journal, f"grading by {judge}"
    )
    check_ungraded(outcomes, settings.maximum_ungraded, judge)
    write_rows(output, graded(rows, asked, outcomes, judge, settings.metrics), grades_schema(settings.metrics))


if __name__ == "__main__":
    run(main, __doc__)
