"""What the simulated service was asked, whatever protocol it was asked in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llamaduo.canonical import digest
from llamaduo.messages import Message


@dataclass(frozen=True)
class Conversation:
    """One request: the turns, the JSON schema that the answer must fit, and who is asked.

    `replicate` is the text of the header `x-llamaduo-replicate`: it tells apart requests of equal content. `seed` is
    the service's own.
    """

    model: str
    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    most_tokens: int | None = None
    samples: int = 1
    replicate: str = ""
    seed: int = 0

    @property
    def key(self) -> str:
        """What every answer is a function of: 64 hexadecimal digits."""
        content: Sequence[Any] = (self.model, self.messages, self.schema, self.most_tokens, self.replicate, self.seed)
        return digest(content, length=64)
