"""The demo's tickets: right answers, enough different wording to be curated, and no test ticket given away."""

import random
from collections import Counter
from itertools import islice

import pytest

from llamaduo.config.curation import CurationSettings
from llamaduo.demo import tickets
from llamaduo.simulated.comparison import common_subsequence

MOST_COMMON_WORDS = 7
ENOUGH = 700


@pytest.fixture(scope="module")
def drawn() -> list[tickets.Ticket]:
    return list(islice(tickets.write_tickets(seed=1), ENOUGH))


def plain(text: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()


def test_every_ticket_has_its_right_answer(drawn: list[tickets.Ticket]) -> None:
    assert all(tickets.right_answer(ticket.text) == ticket.answer for ticket in drawn)


def test_other_text_is_no_ticket() -> None:
    assert tickets.right_answer("Write a poem about the sea.") is None


def test_no_symptom_is_part_of_another() -> None:
    symptoms = [symptom for desk in tickets.SYMPTOMS.values() for symptom in desk]
    assert len(set(symptoms)) == 80
    assert not [(one, other) for one in symptoms for other in symptoms if one != other and one in other]


def test_the_order_depends_on_the_seed_only_and_no_ticket_is_there_twice(drawn: list[tickets.Ticket]) -> None:
    assert drawn == list(islice(tickets.write_tickets(seed=1), ENOUGH))
    assert drawn[:10] != list(islice(tickets.write_tickets(seed=2), 10))
    assert len({ticket.text for ticket in drawn}) == ENOUGH


def test_all_answers_occur_about_equally_often(drawn: list[tickets.Ticket]) -> None:
    counts = Counter(ticket.answer for ticket in drawn)
    assert len(counts) == 16
    assert max(counts.values()) < 2.5 * min(counts.values())


def test_answers_drawn_at_random_are_right_once_in_16_times(drawn: list[tickets.Ticket]) -> None:
    chance = random.Random(3)
    right = sum(tickets.any_answer(chance) == ticket.answer for ticket in drawn)
    assert 0.02 < right / ENOUGH < 0.12


def test_most_tickets_are_novel_by_rouge(drawn: list[tickets.Ticket]) -> None:
    limit = CurationSettings().rouge_threshold
    kept: list[list[str]] = []
    for ticket in drawn:
        words = plain(ticket.text)
        if all(2 * common_subsequence(words, other) / (len(words) + len(other)) <= limit for other in kept):
            kept.append(words)
    assert len(kept) > 0.6 * ENOUGH


def test_a_symptom_alone_is_too_short_to_count_as_a_copy_of_a_test_ticket() -> None:
    assert CurationSettings().decontamination.ngram == MOST_COMMON_WORDS + 1
    for phrases in (*tickets.SYMPTOMS.values(), tickets.CONTEXTS):
        for phrase in phrases:
            assert len(plain(phrase)) <= MOST_COMMON_WORDS, phrase
