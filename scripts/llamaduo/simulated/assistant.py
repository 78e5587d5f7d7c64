"""The simulated service as the service LLM itself: what the local LLMs are to match."""

import random

from llamaduo.demo import tickets
from llamaduo.models.messages import last_user
from llamaduo.simulated.conversation import Conversation

RIGHT = 0.97
MOST_WORDS = 40


def answer(asked: Conversation) -> str:
    """The right answer to a ticket of the demo, 97 times in 100; the first words of any other prompt."""
    prompt = last_user(asked.messages)
    chance = random.Random(asked.lot)  # noqa: S311
    right = tickets.right_answer(prompt)
    if right is None:
        return " ".join(prompt.split()[:MOST_WORDS]) or "..."
    return right if chance.random() < RIGHT else tickets.any_answer(chance)
