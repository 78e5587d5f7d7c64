"""The simulated service as a judge: it grades by comparing texts, with a little noise."""

import json
import random
from collections.abc import Callable

from llamaduo.simulated import comparison
from llamaduo.simulated.conversation import Conversation
from llamaduo.simulated.sections import JudgePrompt
from llamaduo.storage.canonical import digest

METRICS: dict[str, Callable[[str, str], float]] = {
    "similarity": comparison.similarity,
    "precision": comparison.precision,
}

BEST = 99.0
NOISE = 2.0
"""Standard deviation of one grade around the response's own, in points; judges have such a spread too."""
LENIENCE = 2.0
"""How far a judge's grades lie above or below another's at most, in points."""


def grade(asked: Conversation, prompt: JudgePrompt) -> str:
    """The grades of one response as JSON, for each metric that the requested schema names.

    A response equal to the reference gets 97 to 100, an empty one 0, one without a word in common 0 to 8. The noise
    depends on what was asked and on the replicate only: asking the same again gives the same grades.
    """
    metrics = list((asked.schema or {}).get("properties", {})) or list(METRICS)
    chance = random.Random(asked.lot)  # noqa: S311
    return json.dumps({metric: _grade(metric, asked.model, prompt, chance) for metric in metrics})


def _grade(metric: str, judge: str, prompt: JudgePrompt, chance: random.Random) -> dict[str, int | str]:
    noise = chance.gauss(0.0, NOISE)
    if not prompt.response.strip():
        return {"score": 0, "reason": "The response is empty."}
    if prompt.response.strip() == prompt.reference.strip():
        return {"score": round(min(100.0, max(97.0, BEST + noise / 2))), "reason": "It equals the reference."}
    formulas = [METRICS[metric]] if metric in METRICS else list(METRICS.values())
    alike = sum(formula(prompt.response, prompt.reference) for formula in formulas) / len(formulas)
    lenience = LENIENCE * (int(digest(judge), 16) % 201 / 100 - 1)
    score = min(96.0, max(0.0, 94.0 * alike + lenience + noise))
    return {"score": round(score), "reason": f"A simulated comparison of the texts finds them {alike:.0%} alike."}
