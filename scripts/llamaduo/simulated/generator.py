"""The simulated service as a generator: new tickets of the demo's task, or variations of the seeds it is shown."""

import json
import random

from llamaduo.demo import tickets
from llamaduo.simulated.conversation import Conversation
from llamaduo.simulated.sections import GeneratorPrompt
from llamaduo.simulated.variation import vary

Pair = dict[str, str]

WRONG_ANSWER, ECHO, BLANK = 0.03, 0.06, 0.02
"""Shares of pairs with a wrong answer, that repeat the seed's instruction, and without a response.

A real generator's pairs have such faults as well; curation is to find the latter two.
"""


def write_pairs(asked: Conversation, prompt: GeneratorPrompt) -> str:
    """As many pairs as were asked for, as JSON. A function of what was asked and of the replicate only."""
    chance = random.Random(asked.lot)  # noqa: S311
    knows_task = all(tickets.right_answer(seed.instruction) for seed in prompt.seeds)
    pairs = []
    for _ in range(prompt.count):
        seed = chance.choice(prompt.seeds)
        instruction, response = _ticket(chance) if knows_task else vary(seed, chance)
        lot = chance.random()
        if lot < ECHO:
            instruction = seed.instruction
        elif lot < ECHO + BLANK:
            response = ""
        pairs.append(Pair(instruction=instruction, response=response))
    return json.dumps({"pairs": pairs}, ensure_ascii=False)


def _ticket(chance: random.Random) -> tuple[str, str]:
    ticket = tickets.write_ticket(chance)
    wrong = chance.random() < WRONG_ANSWER
    return ticket.text, tickets.any_answer(chance) if wrong else ticket.answer
