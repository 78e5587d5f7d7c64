"""Which of its roles the simulated service was asked in, and its answer."""

from typing import Literal

from llamaduo.models.messages import last_user
from llamaduo.simulated import assistant, generator, judge, sections
from llamaduo.simulated.conversation import Conversation

Role = Literal["judge", "generator", "answer"]


def respond(asked: Conversation) -> tuple[Role, str]:
    """The role that the last user turn's tags show, and the answer given in it."""
    prompt = last_user(asked.messages)
    if graded := sections.judge_prompt(prompt):
        return "judge", judge.grade(asked, graded)
    if wanted := sections.generator_prompt(prompt):
        return "generator", generator.write_pairs(asked, wanted)
    return "answer", assistant.answer(asked)
