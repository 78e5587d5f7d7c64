"""Reading a generator's answer, which is untrusted text: pairs where it has the form asked for, the problem if not."""

import re
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from llamaduo.service.interface import Answer, Unacceptable
from llamaduo.storage.json_text import parse, whole_items
from llamaduo.storage.text import storable

ANSWERED = ("stop", "other")
"""Stop reasons of answers that are whole; the others are final as they are, asking again would cost the same."""


class Pair(BaseModel):
    """One instruction and its response, as the generator wrote them; either may be blank."""

    model_config = ConfigDict(strict=True)

    instruction: str
    response: str


class _Pairs(BaseModel):
    model_config = ConfigDict(strict=True)

    pairs: list[Pair]


@dataclass(frozen=True)
class Written:
    """What a final answer holds: the whole pairs, and what is wrong with the rest of it, if anything is."""

    pairs: list[Pair]
    problem: str | None = None


def read_answer(answer: Answer) -> Written:
    """The pairs of an answer.

    A refused or filtered answer has none; of one that was cut off, the pairs before the cut are kept. Raises
    `Unacceptable`, to be asked again, when a whole answer is not the JSON that was asked for.
    """
    if answer.not_begun:
        return Written([], f"{answer.stop_reason}: {answer.detail}")
    if answer.stop_reason == "length":
        pairs = _before_the_cut(answer.text)
        return Written(pairs, f"cut off at the token limit after {len(pairs)} whole pairs")
    if answer.stop_reason not in ANSWERED:
        return Written([], {"refusal": "refused", "filtered": "filtered"}[answer.stop_reason])
    try:
        pairs = _Pairs.model_validate(_parsed(answer.text)).pairs
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise Unacceptable(f"not the JSON asked for: {where}: {problem['msg']}") from error
    if not pairs:
        raise Unacceptable("no pairs in the answer")
    return Written([_storable(pair) for pair in pairs])


def _parsed(text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise Unacceptable(f"not JSON: {error}") from error


def _before_the_cut(text: str) -> list[Pair]:
    """The pairs that are whole, read one by one from the start of the list."""
    start = re.search(r'"pairs"\s*:\s*\[', text)
    pairs: list[Pair] = []
    if start is None:
        return pairs
    for item in whole_items(text, start.end()):
        try:
            pairs.append(_storable(Pair.model_validate(item)))
        except ValidationError:
            break
    return pairs


def _storable(pair: Pair) -> Pair:
    return Pair(instruction=storable(pair.instruction).strip(), response=storable(pair.response).strip())
