"""The simulated service's answers: grades that follow the texts, pairs for a generator, answers of its own."""

import json
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from llamaduo.demo import tickets
from llamaduo.models.messages import Message
from llamaduo.simulated.comparison import common_subsequence, precision, similarity
from llamaduo.simulated.conversation import Conversation
from llamaduo.simulated.roles import respond
from llamaduo.simulated.sections import generator_prompt, judge_prompt

LONG = (
    "The harbour of Ostend freezes in hard winters. Fishermen then mend their nets in the market hall.\n"
    "In the winter of 1963 the ice reached the lighthouse. Children walked to the sandbank on it!"
)


def judge(reference: str, response: str, replicate: str = "0.0", metrics: tuple[str, ...] = ()) -> dict:
    prompt = (
        f"Grade what is in <response>.\n<instruction>\nSay it.\n</instruction>\n"
        f"<reference>\n{reference}\n</reference>\n<response>\n{response}\n</response>\n"
    )
    schema = {"type": "object", "properties": {metric: {} for metric in metrics}} if metrics else None
    role, text = respond(asked(prompt, replicate=replicate, schema=schema))
    assert role == "judge"
    return {metric: grade["score"] for metric, grade in json.loads(text).items()}


def generate(seeds: list[tuple[str, str]], count: int, replicate: str = "0.0") -> list[tuple[str, str]]:
    blocks = "".join(
        f"<seed>\n<instruction>\n{instruction}\n</instruction>\n<response>\n{response}\n</response>\n</seed>\n"
        for instruction, response in seeds
    )
    prompt = f"<topic>\nany\n</topic>\n{blocks}<count>\n{count}\n</count>\n"
    role, text = respond(asked(prompt, replicate=replicate))
    assert role == "generator"
    return [(pair["instruction"], pair["response"]) for pair in json.loads(text)["pairs"]]


def asked(prompt: str, **more: Any) -> Conversation:
    messages = (Message(role="system", content="Be brief."), Message(role="user", content=prompt))
    return replace(Conversation(model="model", messages=messages), **more)


@pytest.mark.parametrize("text", ["billing, charges", LONG, "42", "???", "私は猫です"])
def test_an_exact_match_is_graded_97_to_100(text: str) -> None:
    for number in range(50):
        assert all(97 <= score <= 100 for score in judge(text, text, f"{number}.0").values())


def test_an_unrelated_response_is_graded_near_0_and_an_empty_one_0() -> None:
    unrelated = judge(LONG, "Sort the list with a stable algorithm and print every second element of it.")
    assert all(score <= 15 for score in unrelated.values())
    assert judge(LONG, "") == judge(LONG, "  \n") == {"similarity": 0, "precision": 0}


def test_more_of_the_reference_means_more_points() -> None:
    half, most = LONG[: len(LONG) // 2], LONG[: len(LONG) * 9 // 10]
    none, some, much, all_of_it = (judge(LONG, text)["similarity"] for text in ("Ice cream.", half, most, LONG))
    assert none < some < much < all_of_it


def test_a_half_right_answer_of_the_demo_gets_about_half() -> None:
    for score in judge("billing, charges", "billing, documents").values():
        assert 35 <= score <= 65


def test_replicates_differ_by_a_few_points_and_repeat_exactly() -> None:
    scores = [judge(LONG, LONG[:100], f"{number}.0")["similarity"] for number in range(40)]
    assert len(set(scores)) > 3
    assert max(scores) - min(scores) <= 16
    assert scores == [judge(LONG, LONG[:100], f"{number}.0")["similarity"] for number in range(40)]


def test_the_metrics_are_those_of_the_schema() -> None:
    assert set(judge("a", "a", metrics=("precision", "tone"))) == {"precision", "tone"}
    assert set(judge("a", "a")) == {"similarity", "precision"}


def test_tags_inside_the_graded_texts_do_not_end_them() -> None:
    response = "one\n</response>\n<response>\ntwo"
    found = judge_prompt(
        f"<instruction>\ni\n</instruction>\n<reference>\nr\n</reference>\n<response>\n{response}\n</response>"
    )
    assert found is not None
    assert (found.instruction, found.reference, found.response) == ("i", "r", response)


def test_the_generator_writes_new_tickets_with_right_answers_when_it_is_shown_tickets() -> None:
    seed = next(tickets.write_tickets(seed=5))
    pairs = [pair for number in range(30) for pair in generate([(seed.text, seed.answer)], 5, f"{number}.0")]
    assert len(pairs) == 150
    new = [(text, answer) for text, answer in pairs if text != seed.text and answer]
    assert len(new) > 130
    right = sum(tickets.right_answer(text) == answer for text, answer in new)
    assert 0.9 < right / len(new) < 1
    assert len({text for text, _ in new}) > 0.97 * len(new)


def test_the_generator_is_a_function_of_its_prompt_and_the_replicate() -> None:
    seed = next(tickets.write_tickets(seed=5))
    first = generate([(seed.text, seed.answer)], 5, "0.0")
    assert first == generate([(seed.text, seed.answer)], 5, "0.0")
    assert first != generate([(seed.text, seed.answer)], 5, "1.0")


@pytest.mark.parametrize(
    "seed",
    [
        (LONG, "Ostend's harbour froze in 1963."),
        ("Which river flows through Ghent?", "The Lys."),
        ("sort", "sorted"),
        ("def add(a, b):\n    # add two numbers\n", "    return a + b"),
        ("冬の港について書いてください。", "港は凍ります。"),
    ],
    ids=["long", "question", "word", "code", "japanese"],
)
def test_variations_of_any_seed_are_mostly_novel_and_never_blank(seed: tuple[str, str]) -> None:
    pairs = [pair for number in range(8) for pair in generate([seed], 5, f"{number}.0")]
    whole = [(instruction, response) for instruction, response in pairs if response]
    assert len(whole) > 30
    assert all(instruction.strip() and response.strip() for instruction, response in whole)
    kept: list[list[str]] = [seed[0].lower().split()]
    for instruction, _ in whole:
        words = instruction.lower().split()
        if all(2 * common_subsequence(words, other) / (len(words) + len(other)) <= 0.7 for other in kept):
            kept.append(words)
    assert len(kept) - 1 > 0.6 * len(whole)


def test_the_generator_is_shown_several_seeds_and_a_system_turn() -> None:
    found = generator_prompt(
        "<topic>\nt\n</topic>\n"
        "<seed>\n<system>\ns\n</system>\n<instruction>\na\n</instruction>\n<response>\nb\n</response>\n</seed>\n"
        "<seed>\n<instruction>\nc\n</instruction>\n<response>\nd\n</response>\n</seed>\n<count>7</count>\n"
    )
    assert found is not None
    assert [(seed.instruction, seed.response) for seed in found.seeds] == [("a", "b"), ("c", "d")]
    assert (found.topic, found.count) == ("t", 7)


def test_as_the_service_itself_it_answers_tickets_right_97_times_in_100() -> None:
    drawn = list(islice(tickets.write_tickets(seed=6), 500))
    answers = [respond(asked(ticket.text))[1] for ticket in drawn]
    right = sum(answer == ticket.answer for answer, ticket in zip(answers, drawn, strict=True))
    assert 0.94 < right / len(drawn) < 1


def test_as_the_service_itself_it_answers_anything_else_with_an_extract() -> None:
    role, text = respond(asked(LONG))
    assert role == "answer"
    assert LONG.replace("\n", " ").startswith(text)


def test_measures_of_equal_and_disjoint_texts() -> None:
    for measure in (similarity, precision):
        assert measure(LONG, LONG) == pytest.approx(1)
        assert measure("owl", "harbour") == 0
        assert measure("", "harbour") == measure("owl", "") == 0


def test_the_common_subsequence_of_a_textbook_example() -> None:
    assert common_subsequence("ABCBDAB", "BDCABA") == 4
    assert common_subsequence("", "BDCABA") == 0
