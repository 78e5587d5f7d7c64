"""What the demo stands on: tiny base models and a coverage dataset, each made once and kept while its making stays."""

import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from llamaduo.storage.canonical import digest, digest_file
from llamaduo.demo import tickets, tiny_models
from llamaduo.demo.tiny_models import TinyModel
from llamaduo.storage.files import atomic_folder, read_json, write_json
from llamaduo.models.messages import Message
from llamaduo.storage.schemas.coverage import COVERAGE
from llamaduo.storage.tables import Row, write_rows

# One learns more slowly, so that the runs differ in how much data they need.
BASES = {
    "gemma-tiny": TinyModel("gemma", initializer_range=0.035),
    "mistral-tiny": TinyModel("mistral"),
    "llama-tiny": TinyModel("llama"),
}
TRAIN_PAIRS, TEST_PAIRS = 40, 24

COVERAGE_SEED, PRETRAINING_SEED, TOKENIZER_SEED = 1, 2, 3
TOKENIZER_TICKETS = 3000
MADE_OF = "made_of.json"
"""The file in a folder that says what the folder was made of."""


def build_all(folder: Path) -> None:
    """Build the coverage dataset and every base under `folder`: as many bases at a time as there are cores."""
    build_coverage(folder / "coverage")
    processes = min(len(BASES), len(os.sched_getaffinity(0)))
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for built in [pool.submit(build_base, name, folder / "models" / name) for name in BASES]:
            built.result()


def build_coverage(folder: Path) -> None:
    """Write the demo's coverage dataset: train and test tickets with their right answers, No Robots layout."""

    def write(made: Path) -> None:
        drawn = list(islice(tickets.write_tickets(COVERAGE_SEED), TRAIN_PAIRS + TEST_PAIRS))
        write_rows(made / "train.parquet", map(_row, drawn[:TRAIN_PAIRS]), COVERAGE)
        write_rows(made / "test.parquet", map(_row, drawn[TRAIN_PAIRS:]), COVERAGE)

    _make_once(folder, [TRAIN_PAIRS, TEST_PAIRS, COVERAGE_SEED, _source(tickets.__file__)], write)


def build_base(name: str, folder: Path) -> None:
    """Build the base model `name` of `BASES`: it knows the form of tickets and answers, and nothing of the task."""
    drawn = islice(tickets.write_tickets(TOKENIZER_SEED), TOKENIZER_TICKETS)
    texts = [f"{ticket.text} {ticket.answer}" for ticket in drawn]
    make_base(BASES[name], texts, _shuffled_tickets(), folder, name)


def make_base(
    settings: TinyModel, texts: Sequence[str], conversations: Iterator[Sequence[Message]], folder: Path, label: str
) -> None:
    """Build a base model into `folder`, unless the one there was made of the same settings, texts and code."""
    made_of = [asdict(settings), digest(list(texts)), _source(tiny_models.__file__), _source(tickets.__file__)]
    _make_once(folder, made_of, lambda made: tiny_models.build(settings, texts, conversations, made, label))


def _shuffled_tickets() -> Iterator[Sequence[Message]]:
    chance = random.Random(PRETRAINING_SEED)  # noqa: S311
    for ticket in tickets.write_tickets(PRETRAINING_SEED):
        yield conversation(ticket.text, tickets.any_answer(chance))


def conversation(prompt: str, response: str) -> list[Message]:
    """One user turn and its response."""
    return [Message(role="user", content=prompt), Message(role="assistant", content=response)]


def _row(ticket: tickets.Ticket) -> Row:
    return {
        "prompt": ticket.text,
        "prompt_id": digest(ticket.text, length=64),
        "messages": conversation(ticket.text, ticket.answer),
        "category": tickets.CATEGORY,
    }


def _make_once(folder: Path, made_of: object, write: Callable[[Path], None]) -> None:
    """Let `write` fill `folder`, unless it was made of the same before. What is there stays untouched then."""
    mark = {"made_of": digest(made_of, length=64)}
    if (folder / MADE_OF).is_file() and read_json(folder / MADE_OF) == mark:
        return
    with atomic_folder(folder) as made:
        write(made)
        write_json(made / MADE_OF, mark)


def _source(module_file: str | None) -> str:
    return digest_file(Path(module_file or ""))
