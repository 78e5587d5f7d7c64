"""The loop on any coverage dataset, with settings so small that it ends in minutes: a rehearsal of the machinery."""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from llamaduo.storage.canonical import digest
from llamaduo.config.coverage import CoverageSettings
from llamaduo.config.load import validate
from llamaduo.coverage.source import read_source
from llamaduo.coverage.tasks import Splits, task_splits
from llamaduo.demo.build import conversation, make_base
from llamaduo.demo.tiny_models import TinyModel
from llamaduo.cli.errors import InputError
from llamaduo.storage.files import write_text
from llamaduo.models.messages import Message, as_text, context, response

BASE = TinyModel("llama", hidden=64, steps=60, batch_size=8)
MODEL = "llama-tiny"
SERVICE, JUDGE = "simulated-generator", "simulated-judge"
VOLUMES = [0, 8, 16]
PROMPT_WORDS, RESPONSE_WORDS = 60, 30
"""How much of each pair the base is trained on."""


def prepare(source: Path, folder: Path) -> None:
    """Write `coverage.yaml` into `folder`, and the base model that it names. Results go to `folder` as well."""
    splits = read_coverage(source)
    base = folder / "models" / f"own-{digest(str(source.resolve()))}"
    values = config(source, splits, base, str(folder / "coverage-results"), str(folder / "coverage-state"))
    validate(values, "coverage.yaml")
    build_own_base(splits, base)
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    target = folder / "coverage.yaml"
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        write_text(target, text)
    print(f"{target}: {len(values['tasks'])} tasks: {', '.join(values['tasks'])}")


def read_coverage(source: Path) -> Splits:
    """All rows of the coverage dataset at `source`, a folder or a file. Raises `InputError` for what is wrong there."""
    settings = CoverageSettings(source=str(source))
    return task_splits(read_source(settings), settings, ["*"])


def build_own_base(splits: Splits, folder: Path) -> None:
    """Build a base whose tokenizer knows the dataset's words, trained on its prompts with each other's responses."""
    rows = [row["messages"] for row in splits.train]
    texts = [f"{as_text(context(messages))}\n{response(messages)}" for messages in rows]
    make_base(BASE, texts, _shuffled(rows), folder, MODEL)


def config(source: Path, splits: Splits, base: Path, results: str, state: str) -> dict[str, Any]:
    """The config of the loop on this dataset: every category a task, one model, and the smallest of everything.

    Raises `InputError` when no category has rows in both splits.
    """
    simulated = {"provider": "openai", "base_url": "simulated"}
    return {
        "results": results,
        "state": state,
        "coverage": {"source": str(source)},
        "tasks": {
            name: {"categories": [category], "generators": [SERVICE], "volumes": VOLUMES}
            for name, category in _tasks(splits).items()
        },
        "services": {
            SERVICE: {**simulated, "model": "simulated-writer"},
            JUDGE: {**simulated, "provider": "anthropic", "model": "simulated-grader"},
        },
        "models": {MODEL: {"path": str(base), "family": BASE.family}},
        "judges": [JUDGE],
        "synthesis": {"pairs_per_call": 5, "chunk_calls": 2, "minimum_yield": 0.1},
        "training": {
            "method": "lora",
            "learning_rate": 2e-3,
            "max_steps": 12,
            "batch_size": 4,
            "gradient_accumulation": 1,
            "max_length": 192,
        },
        "inference": {"samples": 2, "max_new_tokens": 32},
        "judging": {"grades": 2},
        "metrics": {"bootstrap_samples": 1000},
    }


def _tasks(splits: Splits) -> dict[str, str]:
    """A name fit for paths for each category that has a row to test and two to train on, in alphabetical order."""
    train, test = (Counter(row["category"] for row in rows) for rows in (splits.train, splits.test))
    categories = sorted(category for category in test if train[category] >= 2)
    if not categories:
        raise InputError("no category has at least two rows in the train split and one in the test split")
    names: dict[str, str] = {}
    for number, category in enumerate(categories):
        name = re.sub(r"[^a-z0-9]+", "_", category.lower()).strip("_") or "task"
        names[f"{name}_{number}" if name in names or name == "coverage" else name] = category
    return names


def _shuffled(rows: Sequence[Sequence[Message]]) -> Iterator[Sequence[Message]]:
    chance = random.Random(BASE.seed)  # noqa: S311
    while True:
        prompt, answer = context(chance.choice(rows)), response(chance.choice(rows))
        yield conversation(_cut(as_text(prompt), PROMPT_WORDS), _cut(answer, RESPONSE_WORDS))


def _cut(text: str, most_words: int) -> str:
    return " ".join(text.split()[:most_words]) or "."
