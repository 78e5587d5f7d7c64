"""Seeds are drawn without replacement, in an order that depends on task, generator and seed only."""

from collections import Counter

import pytest
from coverage_files import Rows, no_robots_row, no_robots_rows

from llamaduo.cli.errors import InputError
from llamaduo.synthesis.seeds import Call, calls


def drawn(train: Rows, stop: int, start: int = 0, size: int = 1, **key: object) -> list[Call]:
    keys = {"task": "sum", "generator": "gpt", "seed": 1, **key}
    return calls(train, range(start, stop), seeds_per_call=size, **keys)  # type: ignore[arg-type]


def ids(found: list[Call]) -> list[str]:
    return [row["prompt_id"] for call in found for row in call.seeds]


TRAIN = no_robots_rows(range(20))


def test_every_seed_is_shown_once_before_any_is_shown_again() -> None:
    shown = ids(drawn(TRAIN, 60))

    for turn in range(3):
        assert sorted(shown[20 * turn : 20 * turn + 20]) == sorted(row["prompt_id"] for row in TRAIN)
    assert shown[:20] != shown[20:40]


def test_the_order_depends_on_task_generator_and_seed_and_nothing_else() -> None:
    shown = ids(drawn(TRAIN, 30))

    assert ids(drawn(TRAIN[::-1], 30)) == shown
    for other in ({"task": "qa"}, {"generator": "claude"}, {"seed": 2}):
        assert ids(drawn(TRAIN, 30, **other)) != shown


def test_a_chunk_is_the_same_part_of_the_sequence_whatever_came_before_it() -> None:
    assert drawn(TRAIN, 47, start=30) == drawn(TRAIN, 60)[30:47]


def test_calls_that_show_the_same_text_again_are_numbered() -> None:
    assert [call.replicate for call in drawn(TRAIN, 60)] == [0] * 20 + [1] * 20 + [2] * 20
    # given two rows with the same text, then their calls are replicates of each other
    twins = [*TRAIN[:3], {**TRAIN[0], "prompt_id": "twin"}]
    assert Counter(call.replicate for call in drawn(twins, 4)) == {0: 3, 1: 1}


def test_several_seeds_of_a_call_differ_and_agree_in_category_and_system_turn() -> None:
    def under(system: str, number: int) -> Rows:
        row = no_robots_row(number)
        return [{**row, "messages": [{"role": "system", "content": system}, *row["messages"]]}]

    train = [row for number in range(7) for row in under("Be kind.", number)]
    train += [row for number in range(7, 12) for row in under("Be brief.", number)]
    train += no_robots_rows(range(12, 20), "Coding")
    per_turn = 3 + 2 + 3  # 7, 5 and 8 rows in threes

    found = drawn(train, 3 * per_turn, size=3)

    for turn in range(3):
        assert sorted(ids(found[turn * per_turn : (turn + 1) * per_turn])) == sorted(row["prompt_id"] for row in train)
    for call in found:
        assert len({row["category"] for row in call.seeds}) == 1
        assert len({row["messages"][0]["content"] for row in call.seeds if len(row["messages"]) == 3}) <= 1
        assert len({len(row["messages"]) for row in call.seeds}) == 1


def test_an_empty_train_split_is_an_error_and_no_endless_search() -> None:
    with pytest.raises(InputError, match="no seeds"):
        drawn([], 3)
