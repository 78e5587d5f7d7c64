"""M grades of every response: what to ask a judge for, and the rows that its answers make (section 3 of the paper).

An empty response is graded like any other: it is what the user of the feature would have been given, and a score
of 0 by the judge is then a fact, where leaving it out would hide a failure.
"""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from llamaduo.cli.errors import ServiceError
from llamaduo.config.judging import MOST_GRADES, JudgingSettings
from llamaduo.config.services import Generation
from llamaduo.judging.judgement import Judgement
from llamaduo.judging.question import answer_schema, question
from llamaduo.service.interface import Outcome, Request
from llamaduo.service.prompts import JudgePrompts
from llamaduo.storage.tables import Row

PROBLEMS_SHOWN = 3


def requests(
    responses: Sequence[Row], settings: JudgingSettings, prompts: JudgePrompts, generation: Generation
) -> list[Request]:
    """The requests for all grades: `settings.grades` for each response, response by response.

    Grade m of a response is replicate m of its question, so that more grades or more responses ask for the new ones
    only. Identical responses to one prompt make the same requests, which are asked once; where they are not to share
    their grades, the repeated ones number their replicates apart.
    """
    schema = answer_schema(prompts)
    repetitions = [0] * len(responses) if settings.share_identical else _repetitions(responses)
    asked = []
    for row, repetition in zip(responses, repetitions, strict=True):
        turns = question(prompts, row["instructions"], row["target_responses"], row["candidate_responses"])
        first = repetition * MOST_GRADES
        asked += [Request(turns, schema, generation, first + number) for number in range(settings.grades)]
    return asked


def graded(
    responses: Sequence[Row],
    asked: Sequence[Request],
    outcomes: Sequence[Outcome[Judgement]],
    judge: str,
    metrics: Sequence[str],
) -> list[Row]:
    """The responses, in their order, with the grades that the outcomes of their `requests` hold."""
    number = len(asked) // len(responses)
    rows = []
    for position, row in enumerate(responses):
        own = range(position * number, (position + 1) * number)
        rows.append(
            {
                **row,
                "eval_prompts": asked[own[0]].messages[-1]["content"],
                "evaluators": judge,
                **_grades([outcomes[place] for place in own], metrics),
            }
        )
    return rows


def check_ungraded(outcomes: Sequence[Outcome[Judgement]], maximum: float, judge: str) -> None:
    """Raise `ServiceError` when more than `maximum` percent of the grades could not be had."""
    problems = [problem for outcome in outcomes if (problem := _problem(outcome)) is not None]
    share = 100 * len(problems) / len(outcomes)
    if share > maximum:
        common = "; ".join(f"{text} ({count})" for text, count in Counter(problems).most_common(PROBLEMS_SHOWN))
        raise ServiceError(
            f"the judge {judge} left {len(problems)} of {len(outcomes)} grades ungiven ({share:.1f} %), more than "
            f"judging.maximum_ungraded = {maximum:g} %: {common}. All answers are in the journal; what would help: "
            f"more services.{judge}.attempts, a larger services.{judge}.generation.judge.max_tokens, another judge, "
            "or a higher judging.maximum_ungraded"
        )


def _grades(outcomes: Sequence[Outcome[Judgement]], metrics: Sequence[str]) -> Row:
    dates = [answer.date for outcome in outcomes for answer in outcome.answers]
    columns: Row = {"dates": max(dates, default=None)}
    for metric in metrics:
        scores = [outcome.value.scores.get(metric) if outcome.value else None for outcome in outcomes]
        given = [score for score in scores if score is not None]
        columns[f"{metric}_scores"] = fmean(given) if given else None
        columns[f"{metric}_grades"] = scores
        columns[f"{metric}_reasons"] = [_reason(outcome, metric) for outcome in outcomes]
    return columns


def _reason(outcome: Outcome[Judgement], metric: str) -> str | None:
    given = outcome.value.reasons.get(metric) if outcome.value else None
    return _problem(outcome) if given is None else given


def _problem(outcome: Outcome[Judgement]) -> str | None:
    if outcome.value is None:
        return outcome.problem or "no answer"
    return outcome.value.refusal


def _repetitions(responses: Sequence[Row]) -> list[int]:
    """How often the same response to the same prompt came before, in the order of the sample numbers.

    In that order a further sample per prompt comes after all that were there, and changes no number.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    repetitions = [0] * len(responses)
    for place in sorted(range(len(responses)), key=lambda place: responses[place]["sample"]):
        row = responses[place]
        content = (row["instructions"], row["target_responses"], row["candidate_responses"])
        repetitions[place] = seen[content]
        seen[content] += 1
    return repetitions
