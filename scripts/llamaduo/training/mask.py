"""The loss mask of a training example: checked before training, and shown to a reader."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llamaduo.cli.errors import InputError
from llamaduo.models.chat import decode, decoded_response, end_of_turn_id, render
from llamaduo.models.messages import Message
from llamaduo.training.examples import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer


def check_mask(
    tokenizer: "Tokenizer", messages: Sequence[Message], input_ids: Sequence[int], labels: Sequence[int]
) -> None:
    """Raise `InputError` unless the loss covers exactly the last response and the end of its turn.

    `input_ids` and `labels` are of the same length, without padding, as the model gets them. Also checked: the example
    ends there, BOS occurs once and first (not at all in families that have none), and no turn was left out by the chat
    template.
    """
    input_ids, labels = list(input_ids), list(labels)
    learned = [token for token, label in zip(input_ids, labels, strict=True) if label != IGNORED]
    end = end_of_turn_id(tokenizer)
    if not learned or learned != input_ids[-len(learned) :]:
        raise InputError("the loss must cover the end of the example, in one piece")
    if learned[-1] != end:
        raise InputError(
            f"the loss must end on the end-of-turn token {decode(tokenizer, [end])!r}, "
            f"and ends on {decode(tokenizer, learned[-1:])!r}"
        )
    found, expected = decode(tokenizer, learned[:-1]).strip(), decoded_response(tokenizer, messages)
    if found != expected:
        raise InputError(
            f"the loss must cover exactly the last response {_brief(expected)}, and covers {_brief(found)}"
        )
    _check_bos(tokenizer, input_ids, end)
    text = render(tokenizer, messages)
    for turn in messages[:-1]:
        if turn["role"] != "assistant" and turn["content"].strip() not in text:
            raise InputError(f"the chat template leaves out the {turn['role']} turn {_brief(turn['content'])}")


def _check_bos(tokenizer: "Tokenizer", input_ids: list[int], end: int) -> None:
    bos = tokenizer.bos_token_id
    if bos is None or bos == end:
        return
    count = input_ids.count(bos)
    needed = tokenizer("a")["input_ids"][0] == bos
    if count > 1 or (count == 0 and needed) or (count == 1 and input_ids[0] != bos):
        raise InputError(
            f"{tokenizer.bos_token!r} must occur once, at the start of an example, and occurs {count} times; "
            "the chat template must begin with {{ bos_token }} and have it nowhere else"
        )


def show_mask(tokenizer: "Tokenizer", input_ids: Sequence[int], labels: Sequence[int], colour: bool = False) -> str:
    """An example as text, with what the loss covers between marks (or in colour)."""
    before, after = ("\033[1;32m", "\033[0m") if colour else ("⟦", "⟧")
    start = next((place for place, label in enumerate(labels) if label != IGNORED), len(labels))
    prompt, learned = decode(tokenizer, input_ids[:start]), decode(tokenizer, input_ids[start:])
    return f"{prompt}{before}{learned}{after}"


def _brief(text: str, longest: int = 60) -> str:
    return repr(text if len(text) <= longest else f"{text[: longest - 1]}…")
