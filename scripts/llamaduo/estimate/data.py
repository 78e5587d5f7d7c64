"""The rows that an estimate is about: the coverage dataset where it is at hand, else rows of the assumed size."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llamaduo.config.estimate import EstimateSettings
from llamaduo.config.root import Config
from llamaduo.coverage.source import Source, read_source
from llamaduo.coverage.tasks import task_splits
from llamaduo.models.messages import Message
from llamaduo.service.budget.cost import CHARACTERS_PER_TOKEN, prompt_tokens_expected
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.tables import Row, read_rows
from llamaduo.workflow.layout import Results

WORD = "word"
assert len(WORD) == CHARACTERS_PER_TOKEN


@dataclass(frozen=True)
class TaskData:
    """A task's splits, or stand-ins of the assumed size."""

    train: Sequence[Row]
    test: Sequence[Row]
    assumed: bool

    @property
    def row_tokens(self) -> float:
        """Mean tokens of a row of the train split: prompt and response."""
        return _mean([prompt_tokens_expected(row["messages"], None) for row in self.train])

    @property
    def response_tokens(self) -> float:
        """Mean tokens of a reference response of the test split."""
        return _mean([prompt_tokens_expected(row["messages"][-1:], None) for row in self.test])

    @property
    def prompt_tokens(self) -> float:
        """Mean tokens of a test prompt, with its earlier turns."""
        return _mean([prompt_tokens_expected(row["messages"][:-1], None) for row in self.test])


def read_data(config: Config, results: Path) -> dict[str, TaskData]:
    """Every task's rows: of the artifacts, of a source on this machine, or assumed. Nothing is downloaded."""
    source: Source | None = None
    if Path(config.coverage.source).expanduser().exists():
        source = read_source(config.coverage)
    found = {}
    for name, task in config.tasks.items():
        paths = [Results(results).split(name, split) for split in ("train", "test")]
        if all(path.is_file() for path in paths):
            train, test = (read_rows(path, COVERAGE) for path in paths)
            found[name] = TaskData(train, test, assumed=False)
        elif source is not None:
            splits = task_splits(source, config.coverage, task.categories)
            found[name] = TaskData(splits.train, splits.test, assumed=False)
        else:
            found[name] = _assumed(config.estimate)
    return found


def _assumed(settings: EstimateSettings) -> TaskData:
    def rows(count: int) -> list[Row]:
        prompt, response = WORD * settings.prompt_tokens, WORD * settings.response_tokens
        messages = [Message(role="user", content=prompt), Message(role="assistant", content=response)]
        return [
            {"prompt": prompt, "prompt_id": f"assumed-{number}", "messages": messages, "category": "assumed"}
            for number in range(count)
        ]

    return TaskData(rows(settings.train_rows), rows(settings.test_rows), assumed=True)


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values)
