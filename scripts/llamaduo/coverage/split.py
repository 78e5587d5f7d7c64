"""Train and test with no prompt on both sides."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from llamaduo.cli.errors import InputError
from llamaduo.coverage.layouts import Example
from llamaduo.models.messages import as_text, context
from llamaduo.storage.text import normalised


def prompt_key(example: Example) -> str:
    """What makes two prompts the same: all turns before the response, whatever their case and white space."""
    return normalised(as_text(context(example.messages)))


def divide(examples: Sequence[Example], test_ratio: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Train and test, each in the order given: `test_ratio` of every category's rows, at least one, go to test.

    Rows with the same prompt stay together. Prompts are drawn in the order of their hashes with the seed, so that
    the order of the rows does not matter. A category with a single prompt stays in train.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, example in enumerate(examples):
        groups[prompt_key(example)].append(index)
    by_category: dict[str, list[str]] = defaultdict(list)
    for key, members in groups.items():
        by_category[examples[members[0]].category].append(key)
    test: set[int] = set()
    for keys in by_category.values():
        if len(keys) < 2:
            continue
        drawn = sorted(keys, key=lambda key: hashlib.sha256(f"{seed}\n{key}".encode()).digest())
        wanted = max(1, round(test_ratio * sum(len(groups[key]) for key in keys)))
        chosen: list[int] = []
        for key in drawn:
            if len(chosen) + len(groups[key]) <= wanted:
                chosen += groups[key]
        test.update(chosen or groups[min(drawn, key=lambda key: len(groups[key]))])
    return (
        [example for index, example in enumerate(examples) if index not in test],
        [example for index, example in enumerate(examples) if index in test],
    )


def without_shared(train: Sequence[Example], test: Sequence[Example], rule: str) -> list[Example]:
    """The train rows whose prompt is in no test row.

    Raises `InputError` naming the first two such rows when `rule` is `error`.
    """
    in_test = {prompt_key(example): example for example in test}
    shared = [example for example in train if prompt_key(example) in in_test]
    if shared and rule == "error":
        first = shared[0]
        raise InputError(
            f"{first.place}: the same prompt as {in_test[prompt_key(first)].place}, which is in the test split; "
            f"{len(shared)} train rows are like this. Remove them, or set coverage.shared_prompts to drop_from_train"
        )
    dropped = {id(example) for example in shared}
    return [example for example in train if id(example) not in dropped]
