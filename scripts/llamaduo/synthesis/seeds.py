"""Which rows of the train split each call of a generator is shown."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from llamaduo.cli.errors import InputError
from llamaduo.models.messages import Message
from llamaduo.storage.canonical import canonical

SeedRow = Mapping[str, Any]


@dataclass(frozen=True)
class Call:
    """One call: its number, the rows it shows, and how many calls before it showed the same text."""

    number: int
    seeds: tuple[SeedRow, ...]
    replicate: int


def calls(
    train: Sequence[SeedRow], numbers: range, *, seeds_per_call: int, task: str, generator: str, seed: int
) -> list[Call]:
    """The calls of these numbers, out of an endless sequence that depends on the other arguments only.

    Seeds are drawn without replacement until the train split is used up, then again in a new order. The seeds of one
    call agree in category and system turn, so that what is written from them has one of each; where a group does not
    come out even, its last call of a turn shows fewer.
    """
    if not train:
        raise InputError("the train split is empty: there are no seeds to draw")
    before: Counter[tuple[str, ...]] = Counter()
    result = []
    drawn = _endless(train, seeds_per_call, (task, generator, seed))
    for number, seeds in enumerate(islice(drawn, numbers.stop)):
        content = tuple(canonical(row["messages"]) for row in seeds)
        if number in numbers:
            result.append(Call(number, seeds, before[content]))
        before[content] += 1
    return result


def system_turn(row: SeedRow) -> list[Message]:
    """The row's system turn, as a list of one turn or none."""
    first = row["messages"][0]
    return [first] if first["role"] == "system" else []


def _endless(train: Sequence[SeedRow], size: int, key: tuple[str, str, int]) -> Iterator[tuple[SeedRow, ...]]:
    turn = 0
    while True:
        yield from _one_turn(train, size, f"{canonical(key)}\n{turn}")
        turn += 1


def _one_turn(train: Sequence[SeedRow], size: int, key: str) -> Iterator[tuple[SeedRow, ...]]:
    """Every row once, in the order of the hashes of its id with `key`."""

    def place(row: SeedRow) -> bytes:
        return hashlib.sha256(f"{key}\n{row['prompt_id']}".encode()).digest()

    waiting: dict[str, list[SeedRow]] = {}
    for row in sorted(train, key=place):
        group = waiting.setdefault(canonical([row["category"], system_turn(row)]), [])
        group.append(row)
        if len(group) == size:
            yield tuple(group)
            group.clear()
    for group in waiting.values():
        if group:
            yield tuple(group)
