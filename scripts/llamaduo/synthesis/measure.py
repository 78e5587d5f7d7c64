"""Whether a pool has reached a volume, and what to change when it cannot."""

from collections.abc import Mapping
from typing import Any

from llamaduo.config.synthesis import SynthesisSettings
from llamaduo.synthesis.chunks import calls_before, capacity, most_chunks


def measure(funnel: Mapping[str, Any], volume: int, chunks: int, settings: SynthesisSettings) -> dict[str, Any]:
    """The pool after `chunks` chunks, measured against `volume`.

    `funnel` needs the counts `generated` (rows), `unparsable` (those of them that hold no pair) and `accepted`. The
    result's `generated` counts pairs; it adds `asked` (pairs asked for), `yield` (accepted per pair asked for, 0 to
    1), `reached`, and `advice`, which names settings and is empty when the volume is reached.
    """
    accepted, generated = int(funnel["accepted"]), int(funnel["generated"]) - int(funnel["unparsable"])
    asked = capacity(chunks, settings)
    share = accepted / asked if asked else 0.0
    reached = accepted >= volume
    return {
        "volume": volume,
        "chunks": chunks,
        "calls": calls_before(chunks, settings),
        "asked": asked,
        "generated": generated,
        "accepted": accepted,
        "yield": round(share, 6),
        "reached": reached,
        "advice": "" if reached else _advice(accepted, generated, volume, chunks, settings),
    }


def _advice(accepted: int, generated: int, volume: int, chunks: int, settings: SynthesisSettings) -> str:
    calls, asked = calls_before(chunks, settings), capacity(chunks, settings)
    bound = (
        f", the most that synthesis.minimum_yield = {settings.minimum_yield:g} allows"
        if chunks >= most_chunks(volume, settings)
        else ""
    )
    found = (
        f"The pool holds {accepted} of {volume} samples after {calls} calls{bound}: {asked} pairs were asked for, "
        f"{generated} came, and {accepted} were accepted (a yield of {accepted / asked:.0%})."
    )
    if generated < 0.8 * asked:
        remedy = (
            "Many pairs never came: look at the rejected rows' reasons, raise generation.generator.max_tokens of the "
            "service or lower synthesis.pairs_per_call."
        )
    else:
        remedy = (
            "Most pairs came and were rejected: see the funnel for the rules that took them; more variety comes from "
            "a higher generation.generator.temperature of the service, more synthesis.seeds_per_call or more train "
            "rows, more acceptance from a higher curation.rouge_threshold."
        )
    return f"{found} {remedy} To pay for more calls, lower synthesis.minimum_yield; otherwise take the volume away."
