"""Short instructions, generated: as long, as repetitive and as alike as those that a service LLM writes by the 100,000.

How a row is made, from one seed:
- Words are pseudo-words drawn by Zipf's law (exponent 1.07) from a vocabulary of 60,000, as in English text, where each
  of 400 topics prefers 300 content words of its own: half of a row's words come from its topic.
- A row has 8 words or more, 33 on average (log-normal), and begins with one of 150 openings of three to eight words
  ("write a short ... about"), since models open alike.
- 30 % of the rows are rewrites of an earlier row: of its words a share drawn evenly from 0 to 60 % is replaced, a few
  are dropped, and in a third of the rewrites two parts are swapped. So all degrees of likeness occur, on both sides
  of every threshold; about a fifth of the rows is above ROUGE-L 0.7 to an earlier one.
Responses are of the same kind, 60 words on average; the response of a rewrite is a rewrite of its original's.
"""

import numpy as np

VOCABULARY, ZIPF_EXPONENT = 60_000, 1.07
TOPICS, TOPIC_WORDS, OPENINGS = 400, 300, 150
REWRITTEN, MOST_REPLACED, SWAPPED = 0.5, 0.5, 1 / 4
INSTRUCTION_WORDS, RESPONSE_WORDS, SHORTEST = 35, 64, 8
ONSETS, VOWELS = [*"bcdfghklmnprstvw", "st", "tr", "pl"], [*"aeiou", "ea", "ou"]


def pairs(rows: int, seed: int = 0) -> list[dict[str, str]]:
    """So many rows with the columns instruction and response."""
    chance = np.random.default_rng(seed)
    words = np.array([_word(number) for number in range(VOCABULARY)])
    zipf = np.arange(1, VOCABULARY + 1, dtype=float) ** -ZIPF_EXPONENT
    cumulated = np.cumsum(zipf / zipf.sum())
    topics = chance.integers(100, VOCABULARY, (TOPICS, TOPIC_WORDS))
    openings = [_draw(chance, cumulated, int(chance.integers(3, 9))) for _ in range(OPENINGS)]
    instructions: list[np.ndarray] = []
    responses: list[np.ndarray] = []
    for row in range(rows):
        if row and chance.random() < REWRITTEN:
            original = int(chance.integers(row))
            replaced = chance.random() * MOST_REPLACED
            instructions.append(_rewrite(chance, cumulated, instructions[original], replaced))
            responses.append(_rewrite(chance, cumulated, responses[original], replaced))
            continue
        topic = topics[int(chance.integers(TOPICS))]
        opening = openings[int(OPENINGS * chance.random() ** 2)]
        instructions.append(
            np.concatenate([opening, _text(chance, cumulated, topic, INSTRUCTION_WORDS - len(opening))])
        )
        responses.append(_text(chance, cumulated, topic, RESPONSE_WORDS))
    return [
        {"instruction": " ".join(words[instruction]) + ".", "response": " ".join(words[response]) + "."}
        for instruction, response in zip(instructions, responses, strict=True)
    ]


def _word(number: int) -> str:
    """The more frequent, the shorter."""
    word, number = "", number + 1
    while number:
        number, onset = divmod(number, len(ONSETS))
        number, vowel = divmod(number, len(VOWELS))
        word += ONSETS[onset] + VOWELS[vowel]
    return word


def _draw(chance: np.random.Generator, cumulated: np.ndarray, count: int) -> np.ndarray:
    return np.searchsorted(cumulated, chance.random(count)).clip(max=VOCABULARY - 1)


def _text(chance: np.random.Generator, cumulated: np.ndarray, topic: np.ndarray, mean: int) -> np.ndarray:
    count = max(SHORTEST - 3, int(chance.lognormal(np.log(mean) - 0.08, 0.4)))
    words = _draw(chance, cumulated, count)
    of_topic = chance.random(count) < 0.5
    words[of_topic] = topic[(TOPIC_WORDS * chance.random(int(of_topic.sum())) ** 2).astype(int)]
    return words


def _rewrite(chance: np.random.Generator, cumulated: np.ndarray, words: np.ndarray, replaced: float) -> np.ndarray:
    changed = words[chance.random(len(words)) > 0.05]
    places = chance.random(len(changed)) < replaced
    changed[places] = _draw(chance, cumulated, int(places.sum()))
    if chance.random() < SWAPPED and len(changed) > SHORTEST:
        cut = int(chance.integers(2, len(changed) - 2))
        changed = np.concatenate([changed[cut:], changed[:cut]])
    return changed if len(changed) else words
