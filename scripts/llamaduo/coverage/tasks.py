"""The coverage dataset of a task: the rows of its categories, checked, in a train and a test split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from llamaduo.cli.errors import InputError
from llamaduo.config.coverage import ALL_CATEGORIES, CoverageSettings
from llamaduo.coverage.layouts import Example, Layout, with_ids
from llamaduo.coverage.rows import SourceRow
from llamaduo.coverage.source import Source
from llamaduo.coverage.split import divide, without_shared
from llamaduo.storage.tables import Row


@dataclass(frozen=True)
class Splits:
    """A task's rows under the schema `COVERAGE`; `dropped`: train rows left out as their prompt is in test."""

    train: list[Row]
    test: list[Row]
    dropped: int


def task_splits(source: Source, settings: CoverageSettings, categories: Sequence[str]) -> Splits:
    """The task's train and test rows. Only rows of its categories are checked, and its ids are its own.

    Raises `InputError` for a bad row, a category that does not exist, and a split with too few rows.
    """
    layout = Layout(settings, [*source.train, *(source.test or [])], source.name)
    _check_categories(source, layout, categories)
    train = [layout.example(row) for row in _selected(source.train, layout, categories)]
    test = [layout.example(row) for row in _selected(source.test or [], layout, categories)]
    identified = with_ids([*train, *test])
    train, test = identified[: len(train)], identified[len(train) :]
    dropped = 0
    if source.test is None:
        train, test = divide(train, settings.test_ratio, settings.seed)
    else:
        kept = without_shared(train, test, settings.shared_prompts)
        dropped = len(train) - len(kept)
        train = kept
    for name, rows, least in (("train", train, settings.minimum_train), ("test", test, settings.minimum_test)):
        if len(rows) < least:
            raise InputError(
                f"{source.name}: too few rows of {_named(categories)} in the {name} split: {len(rows)} of at least "
                f"{least} (coverage.minimum_{name}){f'; {dropped} left it, being in test too' if dropped else ''}"
            )
    return Splits([_row(example) for example in train], [_row(example) for example in test], dropped)


def _selected(rows: Sequence[SourceRow], layout: Layout, categories: Sequence[str]) -> list[SourceRow]:
    if _everything(categories):
        return list(rows)
    return [row for row in rows if layout.category(row) in categories]


def _check_categories(source: Source, layout: Layout, categories: Sequence[str]) -> None:
    if _everything(categories):
        return
    if not layout.has_categories:
        raise InputError(
            f"{source.name}: has no column of categories, so none is {categories[0]!r}; "
            f'name the column in coverage.columns.category, or take every row with categories: ["{ALL_CATEGORIES}"]'
        )
    existing = Counter(layout.category(row) for row in [*source.train, *(source.test or [])])
    for category in categories:
        if category not in existing:
            listed = ", ".join(f"{name} ({count} rows)" for name, count in sorted(existing.items()))
            raise InputError(f"{source.name}: no category {category!r}; there are: {listed}")


def _everything(categories: Sequence[str]) -> bool:
    return not categories or list(categories) == [ALL_CATEGORIES]


def _named(categories: Sequence[str]) -> str:
    return "any category" if _everything(categories) else ", ".join(categories)


def _row(example: Example) -> Row:
    return {
        "prompt": example.prompt,
        "prompt_id": example.prompt_id,
        "messages": example.messages,
        "category": example.category,
    }
