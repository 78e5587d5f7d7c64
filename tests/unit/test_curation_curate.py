"""Curation as a whole: every row is kept or explained, in order, and later rows change nothing before them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamaduo.cli.errors import InputError
from llamaduo.config.curation import FILTERS, CurationSettings
from llamaduo.curation.curate import curate

SETTINGS = CurationSettings()


def turns(instruction, response, *before):
    earlier = [{"role": role, "content": content} for role, content in before]
    return [*earlier, {"role": "user", "content": instruction}, {"role": "assistant", "content": response}]


def synthetic(name, instruction, response="A short answer, made for this row alone.", **more):
    row = {"prompt_ids": name, "messages": turns(instruction, response), "stop_reason": "stop", "error": None}
    return row | more


TRAIN = [
    {"prompt_id": "train-1", "messages": turns("List three uses of a brick in a garden.", "Edging, steps, walls.")}
]
TEST = [{"prompt_id": "test-1", "messages": turns("Name a river that flows through Vienna.", "The Danube.")}]


def reasons(rows, train=TRAIN, test=TEST, **options):
    curated = curate(rows, train, test, SETTINGS, **options)
    assert sorted([*curated.kept, *curated.rejected]) == list(range(len(rows)))
    return [
        (curated.rejected[at].reason, curated.rejected[at].matched_id) if at in curated.rejected else None
        for at in range(len(rows))
    ]


def test_each_planted_fault_is_found_and_nothing_else():
    rows = [
        synthetic("a", "Explain how a lock on a canal lifts a boat."),
        synthetic("b", "Explain how a lock on a canal lifts a BOAT."),
        synthetic("c", "Give me a recipe for soup with leeks and potatoes.", "Boil both, then season them well."),
        synthetic("d", "Offer me a recipe for soup with leeks and potatoes.", "Something else entirely, with cheese."),
        synthetic("e", "List three uses of a brick in a garden.", "Edging, steps and walls."),
        synthetic("f", "Name a river that flows through Vienna, please.", "The Danube."),
        synthetic("g", "Write about your feelings today.", "As an AI language model, I have none."),
        synthetic("h", "Sort a list of numbers in Python.", stop_reason="length"),
        {"prompt_ids": "i", "messages": None, "stop_reason": "stop", "error": "not JSON"},
        synthetic("j", "Compare tea with coffee for a student at night."),
    ]
    assert reasons(rows) == [
        None,
        ("exact_duplicate", "a"),
        None,
        ("not_novel", "c"),
        ("not_novel", "train-1"),
        ("contaminated_rouge", "test-1"),
        ("refusal", None),
        ("truncated", None),
        ("unparsable", None),
        None,
    ]


def test_the_funnel_counts_every_row_once():
    rows = [
        synthetic("a", "Explain how a lock on a canal lifts a boat."),
        synthetic("b", "Explain how a lock on a canal lifts a boat."),
        synthetic("c", "Hi"),
        {"prompt_ids": "d", "messages": None, "error": "not JSON"},
    ]
    funnel = curate(rows, TRAIN, TEST, SETTINGS).funnel
    assert funnel == {
        "stages": [
            {"stage": "generated", "rows": 4},
            {"stage": "parsed", "rows": 3},
            {"stage": "rules", "rows": 2},
            {"stage": "exact", "rows": 1},
            {"stage": "minhash", "rows": 1},
            {"stage": "novelty", "rows": 1},
            {"stage": "decontamination", "rows": 1},
        ],
        "generated": 4,
        "unparsable": 1,
        "accepted": 1,
        "reasons": {"exact_duplicate": 1, "too_short": 1, "unparsable": 1},
    }


def test_a_rejected_row_takes_no_other_row_with_it():
    rows = [
        synthetic("a", "Write a long story about a lighthouse keeper.", stop_reason="length"),
        synthetic("b", "Write a long story about a lighthouse keeper."),
    ]
    assert reasons(rows) == [("truncated", None), None]


def test_the_last_turns_are_what_is_compared():
    long_talk = turns(
        "And how do I get down?", "By the stairs.", ("system", "Be brief."), ("user", "Go"), ("assistant", "Up.")
    )
    assert reasons([{"messages": long_talk}]) == [None]
    rows = [{"messages": turns("Climb the tower.", "Done.", ("user", "x"), ("assistant", "y"))} for _ in range(2)]
    assert reasons(rows) == [None, ("exact_duplicate", "input:0")]


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": None, "response": "x"},
        {"instruction": "Tell me about bees.", "response": 7},
        {"messages": []},
        {"messages": "text"},
        {"messages": [{"role": "user", "content": "no answer"}]},
        {"messages": [{"role": "assistant", "content": "no question"}]},
        {"messages": turns("Tell me about bees.", "They fly."), "error": "cut off"},
    ],
)
def test_rows_without_a_pair_are_unparsable(row):
    assert reasons([row]) == [("unparsable", None)]


def test_given_rows_without_a_pair_are_an_error():
    with pytest.raises(InputError, match="train: row 1"):
        curate([], [*TRAIN, {"messages": None}], TEST, SETTINGS)


def test_an_earlier_pool_is_not_repeated():
    row = synthetic("p", "Explain how a lock on a canal lifts a boat.")
    assert reasons([row], pool=[{**row, "prompt_ids": "earlier"}]) == [("exact_duplicate", "earlier")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rules", [None, None, ("too_short", None), None]),
        ("exact", [None, ("exact_duplicate", "0"), None, None]),
        ("minhash", [None, ("near_duplicate", "0"), None, None]),
        ("novelty", [None, ("not_novel", "0"), None, None]),
        ("decontamination", [None, None, None, ("contaminated_substring", "test-1")]),
    ],
)
def test_filters_can_be_used_alone(name, expected):
    texts = ["Tell me about bees and honey."] * 2 + ["Hi", "Name a river that flows through Vienna."]
    rows = [{"id": at, "instruction": text, "response": "All right."} for at, text in enumerate(texts)]
    assert reasons(rows, filters=[name]) == expected


few = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "x1"]), max_size=12).map(" ".join)
some_rows = st.lists(
    st.one_of(
        st.builds(lambda instruction, response: {"instruction": instruction, "response": response}, few, few),
        st.just({"instruction": None, "response": None}),
    ),
    max_size=20,
)


@settings(max_examples=100, deadline=None)
@given(some_rows, some_rows, st.sets(st.sampled_from(FILTERS)))
def test_more_rows_only_append(rows, more, names):
    before = curate(rows, TRAIN, TEST, SETTINGS, names)
    after = curate(rows + more, TRAIN, TEST, SETTINGS, names)
    assert [at for at in after.kept if at < len(rows)] == before.kept
    assert {at: found for at, found in after.rejected.items() if at < len(rows)} == before.rejected


@settings(max_examples=60, deadline=None)
@given(some_rows)
def test_what_was_kept_is_kept_again(rows):
    kept = [rows[at] for at in curate(rows, TRAIN, TEST, SETTINGS).kept]
    assert curate(kept, TRAIN, TEST, SETTINGS).kept == list(range(len(kept)))


def test_decisions_do_not_depend_on_the_hash_seed(tmp_path):
    words = ["ocean", "forest", "city", "engine", "garden", "planet", "music", "history", "bread", "winter"]
    rows = [
        {
            "instruction": f"Tell me about {words[at % 10]} and {words[at * 7 % 9]} in {at % 6} lines",
            "response": "Yes " * (at % 5),
        }
        for at in range(60)
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    program = (
        "import json, sys; from pathlib import Path\n"
        "from llamaduo.config.curation import CurationSettings; from llamaduo.curation.curate import curate\n"
        "rows = json.loads(Path(sys.argv[1]).read_text())\n"
        "found = curate(rows, rows[:2], rows[-2:], CurationSettings())\n"
        "print(found.kept, found.rejected)"
    )
    scripts = Path(__file__).parents[2] / "scripts"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, tmp_path / "rows.json"],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(scripts)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1
    assert "not_novel" in outputs.pop()
