"""One chunk of synthesis: what the generator is asked, and the rows of what it wrote."""

from collections.abc import Sequence

from llamaduo.config.services import ServiceSettings
from llamaduo.config.synthesis import SynthesisSettings
from llamaduo.models.messages import Message
from llamaduo.service.interface import Outcome, Request
from llamaduo.service.prompts import PromptText
from llamaduo.storage.tables import Row
from llamaduo.storage.text import storable
from llamaduo.synthesis.answers import Pair, Written
from llamaduo.synthesis.prompt import SCHEMA, generator_turns
from llamaduo.synthesis.seeds import Call, system_turn


def requests(
    calls: Sequence[Call], service: ServiceSettings, settings: SynthesisSettings, prompts: PromptText, topic: str
) -> list[Request]:
    """What the generator is asked in these calls, in their order."""
    return [
        Request(
            messages=generator_turns(prompts, call.seeds, topic, settings.pairs_per_call),
            json_schema=SCHEMA,
            generation=service.generation.generator,
            replicate=call.replicate,
        )
        for call in calls
    ]


def rows(calls: Sequence[Call], generator: str, outcomes: Sequence[Outcome[Written]]) -> list[Row]:
    """What came of the calls, under `SYNTHESIS`, in the order of calls and positions."""
    return [row for call, outcome in zip(calls, outcomes, strict=True) for row in call_rows(call, generator, outcome)]


def call_rows(call: Call, generator: str, outcome: Outcome[Written]) -> list[Row]:
    """One row per pair; one more, without messages, for an answer that is not all pairs, with its text and why.

    `stop_reason` says why the text of the row ended: a whole pair ended by itself, even if the answer was cut off
    later on.
    """
    written = outcome.value or Written([], outcome.problem or "no answer")
    last = outcome.answers[-1] if outcome.answers else None
    stop_reason = last.stop_reason if last else "other"
    rows = [_row(call, generator, position, "stop", pair=pair) for position, pair in enumerate(written.pairs)]
    if written.problem is not None:
        problem = storable(written.problem)
        text = storable(last.text) if last else ""
        rows.append(_row(call, generator, len(rows), stop_reason, error=problem, answer=text))
    return rows


def _row(
    call: Call,
    generator: str,
    position: int,
    stop_reason: str,
    *,
    pair: Pair | None = None,
    error: str | None = None,
    answer: str | None = None,
) -> Row:
    messages = None
    if pair is not None:
        messages = [
            *system_turn(call.seeds[0]),
            Message(role="user", content=pair.instruction),
            Message(role="assistant", content=pair.response),
        ]
    return {
        "generators": generator,
        "prompt_ids": f"{generator}/{call.number}/{position}",
        "seed_prompts": "\n\n".join(row["prompt"] for row in call.seeds),
        "category": call.seeds[0]["category"],
        "call": call.number,
        "position": position,
        "stop_reason": stop_reason,
        "messages": messages,
        "error": error,
        "answer": answer,
    }
