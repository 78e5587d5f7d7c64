"""Variations of any pair: its own sentences and words put together anew.

A simulation. The pairs look like the seed's kind of text and are diverse enough to pass a test of novelty, so that
every later step has something to work on; they teach a model nothing.
"""

import random
import re

from llamaduo.simulated.comparison import words
from llamaduo.simulated.sections import Seed

# Each names two subjects, or leaves them out.
REQUESTS = (
    "What does the following say about {0} and {1}?",
    "Explain {0} in relation to {1}.",
    "Case {number}: decide whether {0} or {1} matters more.",
    "Put {0} into your own words; leave {1} aside.",
    "A reader asks about {0}. Answer her in a line, mentioning {1}.",
    "Note {number}. Sort {0} before {1} and say why.",
    "Give the gist: {1}, then {0}.",
    "If {0} were missing, what would become of {1}?",
    "List what you know of {1}. Begin with {0}.",
    "Compare {0} to {1} for a colleague in office {number}.",
    "Someone disputes {0}. Settle it by means of {1}.",
    "Draft {number}: shorten this until only {0} remains.",
)

MOST_WORDS_OF_A_PIECE = 24
MOST_PIECES = 5


def vary(seed: Seed, chance: random.Random) -> tuple[str, str]:
    """A new instruction and response made of the seed's pieces; neither is ever blank."""
    pieces = _pieces(seed.instruction)
    borrowed = _pieces(seed.response)
    kept = chance.sample(pieces, k=min(MOST_PIECES, max(1, len(pieces) // 3)))
    if len(pieces) == 1:
        kept = [_part(pieces[0], chance)]
    if chance.random() < 0.5:
        kept.insert(chance.randrange(len(kept) + 1), _part(chance.choice(borrowed), chance))
    subjects = chance.choices(words(f"{seed.instruction} {seed.response}") or ["this"], k=4)
    request = chance.choice(REQUESTS).format(
        " ".join(subjects[:2]), " ".join(subjects[2:]), number=chance.randrange(2, 1000)
    )
    kept.insert(chance.choice((0, len(kept))), request)
    told = [piece for piece in borrowed if chance.random() < 0.7] or borrowed[:1]
    if chance.random() < 0.5:
        told.append(f"That concerns {subjects[0]}.")
    return "\n".join(kept), "\n".join(told)


def _pieces(text: str) -> list[str]:
    """The sentences and lines of a text, long ones cut; at least one."""
    found = []
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", text):
        spoken = sentence.split(" ")
        for start in range(0, len(spoken), MOST_WORDS_OF_A_PIECE):
            piece = " ".join(spoken[start : start + MOST_WORDS_OF_A_PIECE]).rstrip()
            if piece:
                found.append(piece)
    return found or [text.strip() or "..."]


def _part(piece: str, chance: random.Random) -> str:
    """A run of about half of a piece's words."""
    spoken = piece.split(" ")
    length = max(1, round(len(spoken) * chance.uniform(0.3, 0.6)))
    start = chance.randrange(len(spoken) - length + 1)
    return " ".join(spoken[start : start + length]).strip() or piece.strip()
