"""One chunk of synthesis: ask the generator, and make rows of what it wrote."""

from collections.abc import Sequence
from pathlib import Path

from llamaduo.config.services import ServiceSettings
from llamaduo.config.synthesis import SynthesisSettings
from llamaduo.messages import Message
from llamaduo.prompts import PromptText
from llamaduo.service.client import ask_all
from llamaduo.service.interface import Outcome, Request
from llamaduo.synthesis.answers import Pair, Written, read_answer
from llamaduo.synthesis.prompt import SCHEMA, generator_turns
from llamaduo.synthesis.seeds import Call, system_turn
from llamaduo.tables import Row
from llamaduo.text import storable


def synthesize(
    calls: Sequence[Call],
    *,
    generator: str,
    service: ServiceSettings,
    settings: SynthesisSettings,
    prompts: PromptText,
    topic: str,
    journal: Path,
    label: str,
    earlier: Sequence[Path] = (),
) -> list[Row]:
    """Make the calls and return their rows under `SYNTHESIS`, in the order of calls and positions.

    `earlier` are the journals of other chunks, whose answers count too: after a change of the chunks' size a call may
    stand in another one's. Raises `InputError` for a missing key and `ServiceError` when the service cannot be used;
    what was paid for by then is in the journal.
    """
    requests = [
        Request(
            messages=generator_turns(prompts, call.seeds, topic, settings.pairs_per_call),
            json_schema=SCHEMA,
            generation=service.generation.generator,
            replicate=call.replicate,
        )
        for call in calls
    ]
    outcomes = ask_all(generator, service, requests, read_answer, journal, label, earlier)
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
