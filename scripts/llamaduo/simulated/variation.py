"""Variations of any pair: its own sentences and words put together anew.

A simulation. The pairs look like the seed's kind of text and are diverse enough to pass a test of novelty, so that
every later step has something to work on; they teach a model nothing.
"""

import random
import re

from llamaduo.simulated.comparison import words
from llamaduo.simulated.sections import Seed

# A request is made of an opening and a manner; each names some subjects.
OPENINGS = (
    "What does the following say about {0}?",
    "Explain {0} in relation to {1}.",
    "Decide whether {0} or {1} matters more.",
    "Put {0} into your own words and leave {1} aside.",
    "A reader asks about {0}.",
    "Sort {0} before {1}.",
    "Give the gist, beginning with {1}.",
    "If {0} were missing, what would become of {1}?",
    "List everything known of {1}.",
    "Compare {0} to {1}.",
    "Someone disputes {0}; settle the matter.",
    "Shorten this until only {0} remains.",
)
MANNERS = (
    "Answer in one line.",
    "Write for a colleague in office {number}.",
    "Mention {2} at the end.",
    "A child should understand it.",
    "Use no more than {number} words.",
    "Keep the tone of a {2} report.",
    "Number your points from {number}.",
    "This is draft {number} of our notes on {2}.",
    "Do not speak of {2}.",
    "Be as plain as a timetable.",
    "It goes on a card next to {2}.",
    "Our editor prefers examples.",
)
# For seeds of few words, whose variations would otherwise all be alike.
SUBJECTS = (
    *("harbour", "violin", "orchard", "ledger", "glacier", "tunnel", "kettle", "parliament", "compass", "meadow"),
    *("lantern", "viaduct", "sparrow", "granite", "carousel", "ferry", "saffron", "quarry", "pendulum", "attic"),
    *("thistle", "canyon", "tapestry", "anvil", "lagoon", "bakery", "meteor", "cellar", "walnut", "turbine"),
)
FEW_WORDS = 12

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
    known = words(f"{seed.instruction} {seed.response}")
    if len(set(known)) < FEW_WORDS:
        known += chance.sample(SUBJECTS, k=FEW_WORDS)
    subjects = [" ".join(chance.choices(known, k=2)) for _ in range(3)]
    number = chance.randrange(2, 1000)
    for part, place in ((chance.choice(OPENINGS), 0), (chance.choice(MANNERS), len(kept))):
        kept.insert(chance.choice((place, len(kept))), part.format(*subjects, number=number))
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
