"""Examples of every run: the responses graded highest and lowest, with the reference and the grades."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llamaduo.report.plan import Plan, RunName
from llamaduo.report.reading import Reader
from llamaduo.report.runs import Run
from llamaduo.storage.schemas.grades import grades_schema
from llamaduo.storage.schemas.responses import RESPONSES
from llamaduo.storage.tables import Row

LONGEST = 700
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class Grade:
    """What one judge gave for one metric: the mean over its grades (None: none could be had), and its first reason."""

    judge: str
    metric: str
    score: float | None
    reason: str


@dataclass(frozen=True)
class Example:
    """One response of a run to a test prompt. Texts are cut at `LONGEST` characters."""

    run: RunName
    volume: int | None
    title: str
    prompt: str
    reference: str
    response: str
    finish_reason: str
    grades: tuple[Grade, ...]


def read_examples(reader: Reader, plan: Plan, run: Run) -> list[Example]:
    """The highest and the lowest graded response of a run's last cycle; ungraded ones where there are no grades."""
    if run.last is None:
        return []
    schema = grades_schema(plan.metrics)
    judges = plan.tasks[run.name.task].judges
    graded = {judge: reader.rows(run.last.folder / "grades" / f"{judge}.parquet", schema) for judge in judges}
    graded = {judge: rows for judge, rows in graded.items() if rows}
    if not graded:
        rows = reader.rows(run.last.folder / "responses.parquet", RESPONSES)[:1]
        return [_example(run, "not graded yet", row, ()) for row in rows]
    rows = next(iter(graded.values()))
    by_response = {judge: {_key(row): row for row in rows} for judge, rows in graded.items()}
    grades = [
        [_grade(judge, metric, found.get(_key(row))) for judge, found in by_response.items() for metric in plan.metrics]
        for row in rows
    ]
    means = [_mean([grade.score for grade in given]) for given in grades]
    known = [number for number, mean in enumerate(means) if mean is not None]
    if not known:
        return [_example(run, "no grade could be had", rows[0], grades[0])]
    best = max(known, key=lambda number: (means[number], -number))
    worst = min(known, key=lambda number: (means[number], number))
    chosen = [("graded highest", best)] + ([("graded lowest", worst)] if worst != best else [])
    return [_example(run, title, rows[number], grades[number]) for title, number in chosen]


def _key(row: Row) -> tuple[str, int]:
    return row["prompt_id"], row["sample"]


def _grade(judge: str, metric: str, row: Row | None) -> Grade:
    if row is None:
        return Grade(judge, metric, None, "")
    reasons = [reason for reason in row[f"{metric}_reasons"] or () if reason]
    return Grade(judge, metric, row[f"{metric}_scores"], cut(reasons[0], 300) if reasons else "")


def _mean(scores: Sequence[float | None]) -> Any:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None


def _example(run: Run, title: str, row: Row, grades: Sequence[Grade]) -> Example:
    return Example(
        run.name,
        run.volume,
        title,
        cut(row["instructions"]),
        cut(row["target_responses"]),
        cut(row["candidate_responses"]),
        row["finish_reason"],
        tuple(grades),
    )


def cut(text: str, longest: int = LONGEST) -> str:
    """`text`, or its beginning with a note of how much was left out."""
    left_out = len(text) - longest
    return text if left_out <= 0 else f"{text[:longest]} … ({left_out:,} more characters)"
