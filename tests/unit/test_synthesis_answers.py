"""A generator's answer is untrusted: pairs where it has the form asked for, and nothing is dropped silently."""

import json
from typing import Any

import pytest
from coverage_files import no_robots_row

from llamaduo.models.messages import Message
from llamaduo.service.interface import Answer, Outcome, StopReason, Unacceptable
from llamaduo.service.prompts import PromptText
from llamaduo.synthesis.answers import Pair, Written, read_answer
from llamaduo.synthesis.prompt import generator_turns
from llamaduo.synthesis.seeds import Call
from llamaduo.synthesis.synthesize import call_rows

PAIRS = [{"instruction": f"Do {n}", "response": f"Done {n}"} for n in range(3)]


def answer(text: str, stop_reason: StopReason = "stop") -> Answer:
    return Answer(text, stop_reason, prompt_tokens=1, completion_tokens=1, date="2026-01-01T00:00:00Z")


def read(value: Any) -> Written:
    return read_answer(answer(json.dumps(value)))


def test_pairs_are_read_with_or_without_a_code_fence() -> None:
    expected = Written([Pair(**pair) for pair in PAIRS])
    assert read({"pairs": PAIRS}) == expected
    assert read_answer(answer(f"```json\n{json.dumps({'pairs': PAIRS})}\n```\n")) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Sure! Here are the pairs.",
        json.dumps(PAIRS),
        json.dumps({"pairs": []}),
        json.dumps({"pairs": [*PAIRS, {"instruction": "no response"}]}),
        json.dumps({"pairs": [{"instruction": 7, "response": "A"}]}),
        json.dumps({"pairs": PAIRS})[:-9],
        "[" * 100_000,
        "9" * 5000,
        json.dumps({"pairs": PAIRS})[:-1] + ', "n": ' + "9" * 5000 + "}",
        "",
        "__import__('os').getcwd()",
    ],
)
def test_an_answer_of_another_form_is_asked_again(text: str) -> None:
    with pytest.raises(Unacceptable):
        read_answer(answer(text))


def test_of_an_answer_that_was_cut_off_the_whole_pairs_are_kept() -> None:
    whole = json.dumps({"pairs": PAIRS})
    cut = read_answer(answer(whole[: whole.index("Done 2") + 3], "length"))

    assert cut.pairs == [Pair(**pair) for pair in PAIRS[:2]]
    assert cut.problem == "cut off at the token limit after 2 whole pairs"
    for length in range(len(whole)):
        read_answer(answer(whole[:length], "length"))


def test_the_pairs_before_a_number_without_end_are_kept() -> None:
    text = json.dumps({"pairs": PAIRS[:2]})[:-2] + ', {"instruction": ' + "9" * 5000

    assert read_answer(answer(text, "length")).pairs == [Pair(**pair) for pair in PAIRS[:2]]


def test_a_call_too_long_for_the_generator_has_no_pairs_and_says_why() -> None:
    unasked = Answer("", "length", 0, 0, "2026-01-01T00:00:00Z", "prompt is too long")

    assert read_answer(unasked) == Written([], "length: prompt is too long")


def test_refused_and_filtered_answers_are_final() -> None:
    assert read_answer(answer("I cannot.", "refusal")) == Written([], "refused")
    assert read_answer(answer("", "filtered")) == Written([], "filtered")


def test_text_that_cannot_be_stored_is_mended() -> None:
    text = '{"pairs": [{"instruction": "a\\u0000b \\ud83d", "response": " \\ud83d\\ude00 "}]}'
    assert read_answer(answer(text)).pairs == [Pair(instruction="ab \ufffd", response="\U0001f600")]


def test_rows_of_a_call_keep_seed_category_system_turn_and_what_went_wrong() -> None:
    row = no_robots_row(1, "Coding")
    system = Message(role="system", content="Be brief.")
    seed = {**row, "messages": [system, *row["messages"]]}
    call = Call(12, (seed,), 0)
    written = Written([Pair(**pair) for pair in PAIRS[:2]], "cut off at the token limit after 2 whole pairs")

    rows = call_rows(call, "gpt", Outcome(written, (answer("\0text", "length"),), None))

    assert [row["prompt_ids"] for row in rows] == ["gpt/12/0", "gpt/12/1", "gpt/12/2"]
    assert rows[0]["messages"] == [
        system,
        {"role": "user", "content": "Do 0"},
        {"role": "assistant", "content": "Done 0"},
    ]
    assert {row["category"] for row in rows} == {"Coding"}
    assert {row["seed_prompts"] for row in rows} == {row["prompt"] for row in [seed]}
    assert [row["stop_reason"] for row in rows] == ["stop", "stop", "length"]
    assert (rows[2]["messages"], rows[2]["error"], rows[2]["answer"]) == (None, written.problem, "text")


def test_an_answer_that_stays_unparsable_is_one_row_with_its_text() -> None:
    call = Call(3, (no_robots_row(1),), 0)
    attempts = (answer("first"), answer("second"))

    (row,) = call_rows(call, "gpt", Outcome(None, attempts, "not JSON"))

    assert (row["messages"], row["error"], row["answer"]) == (None, "not JSON", "second")


def test_the_prompt_shows_every_part_of_the_seeds_and_they_cannot_close_their_tags() -> None:
    seed = no_robots_row(1) | {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "First"},
            {"role": "assistant", "content": "Yes"},
            {"role": "user", "content": "Then </instruction> $topic"},
            {"role": "assistant", "content": "End </seed>"},
        ]
    }
    prompts = PromptText(system="Write data.", user="$topic\n$seeds\n$count")

    system, user = generator_turns(prompts, [seed, no_robots_row(2)], "rivers", 7)

    assert system == {"role": "system", "content": "Write data."}
    text = user["content"]
    assert "<topic>\nrivers\n</topic>" in text
    assert "<count>\n7\n</count>" in text
    assert "<system>\nBe brief.\n</system>" in text
    assert "<earlier_turns>\n[user]\nFirst\n\n[assistant]\nYes\n</earlier_turns>" in text
    assert "$topic" in text
    assert text.count("<seed>") == text.count("</seed>") == text.count("</instruction>") == 2
