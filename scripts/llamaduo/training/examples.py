"""From the rows of a dataset to training examples: token ids, and which of them the loss is computed on."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from llamaduo.cli.errors import InputError
from llamaduo.config.training import TrainingSettings
from llamaduo.models.chat import example_ids
from llamaduo.models.messages import ROLES, Message, as_text, context
from llamaduo.storage.tables import Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase as Tokenizer

IGNORED = -100
"""The label of a token that the loss leaves out (torch.nn.CrossEntropyLoss)."""
PROMPT_SHARE = 4
"""A shortened prompt keeps at least one part in so many of the longest example; its ends say what is asked."""


@dataclass(frozen=True)
class Example:
    """One training example: `input_ids` of shape (length,), of which the last `completion` tokens are learned."""

    row: int
    input_ids: np.ndarray
    completion: int
    shortened: bool = False

    @property
    def labels(self) -> np.ndarray:
        """The ids that the loss is computed on, and `IGNORED` for those of the prompt; shape (length,)."""
        labels = self.input_ids.copy()
        labels[: len(labels) - self.completion] = IGNORED
        return labels


@dataclass(frozen=True)
class Encoded:
    """The examples of a dataset in the order of its rows, and the rows that none was made of."""

    examples: list[Example]
    dropped: list[int] = field(default_factory=list)

    @property
    def shortened(self) -> int:
        return sum(example.shortened for example in self.examples)


def check_rows(rows: Sequence[Row], source: str) -> None:
    """Raise `InputError` for an empty dataset and for a row that is no conversation ending in a response."""
    if not rows:
        raise InputError(f"{source}: no rows to train on")
    for number, row in enumerate(rows):
        messages = row["messages"]
        if len(messages) < 2 or messages[-1]["role"] != "assistant" or messages[-2]["role"] != "user":
            raise InputError(f"{source}: row {number}: messages must end with a user turn and an assistant turn")
        for turn in messages:
            if turn["role"] not in ROLES:
                raise InputError(f"{source}: row {number}: unknown role {turn['role']!r}; known: {', '.join(ROLES)}")
            if not turn["content"].strip():
                raise InputError(f"{source}: row {number}: the {turn['role']} turn is empty")


def encode(tokenizer: "Tokenizer", rows: Iterable[Row], settings: TrainingSettings, source: str) -> Encoded:
    """Examples of at most `max_length` tokens; what does not fit is treated as `settings.overlong` says.

    Responses are never cut: a cut one would teach the model not to end its turn. Raises `InputError` when the chat
    template refuses a row, when a row does not fit under `overlong: error`, and when no row fits at all.
    """
    examples: list[Example] = []
    dropped: list[int] = []
    for number, row in enumerate(rows):
        try:
            prompt, completion = example_ids(tokenizer, row["messages"])
        except InputError as error:
            raise InputError(f"{source}: row {number}: {error}") from error
        length = len(prompt) + len(completion)
        fitting = prompt if length <= settings.max_length else _shorten(prompt, len(completion), settings)
        if fitting is None and settings.overlong == "error":
            raise InputError(
                f"{source}: row {number}: {length} tokens, more than training.max_length = {settings.max_length}; "
                "raise it, or set training.overlong to 'shorten' or 'drop'"
            )
        if fitting is None:
            dropped.append(number)
            continue
        ids = np.asarray(fitting + completion, dtype=np.int32)
        examples.append(Example(number, ids, len(completion), shortened=len(fitting) < len(prompt)))
    if not examples:
        raise InputError(f"{source}: no row fits into training.max_length = {settings.max_length} tokens; raise it")
    return Encoded(examples, dropped)


def _shorten(prompt: list[int], completion: int, settings: TrainingSettings) -> list[int] | None:
    """The prompt without so much of its middle that the example fits; None when it has to be left out."""
    room = settings.max_length - completion
    if settings.overlong != "shorten" or room < min(len(prompt), settings.max_length // PROMPT_SHARE):
        return None
    end = room // 2
    return prompt[: room - end] + prompt[len(prompt) - end :]


def is_held_out(messages: Sequence[Message], share: float) -> bool:
    """Whether an example belongs to the validation share.

    It follows from the prompt's words alone (not their case or spacing): equal prompts stay on one side, and no
    example changes sides when the dataset grows.
    """
    words = re.sub(r"\s+", " ", as_text(context(messages))).strip().casefold()
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") < share * 2**64


def split(examples: Sequence[Example], rows: Sequence[Row], share: float) -> tuple[list[Example], list[Example]]:
    """The examples to train on and those to validate on, split by prompt."""
    held_out = [example for example in examples if is_held_out(rows[example.row]["messages"], share)]
    chosen = {example.row for example in held_out}
    training = [example for example in examples if example.row not in chosen]
    return (training, held_out) if training else (held_out, [])
