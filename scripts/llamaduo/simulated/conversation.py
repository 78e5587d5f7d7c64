"""What the simulated service was asked, whatever protocol it was asked in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from llamaduo.models.messages import Message
from llamaduo.storage.canonical import digest


@dataclass(frozen=True)
class Prefix:
    """The part of a prompt before a mark for the vendor's cache: what it is, and how many tokens it has."""

    digest: str
    tokens: int


@dataclass(frozen=True)
class Conversation:
    """One request: the turns, the JSON schema that the answer must fit, and who is asked.

    `replicate` is the text of the header `x-llamaduo-replicate`: it tells apart requests of equal content. `seed` is
    the service's own. `samples` and `prefixes` change no answer.
    """

    model: str
    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None = None
    most_tokens: int | None = None
    samples: int = 1
    prefixes: tuple[Prefix, ...] = ()
    replicate: str = ""
    seed: int = 0

    @cached_property
    def key(self) -> str:
        """What every answer is a function of: 64 hexadecimal digits."""
        content: Sequence[Any] = (self.model, self.messages, self.schema, self.most_tokens, self.replicate, self.seed)
        return digest(content, length=64)

    @cached_property
    def lot(self) -> str:
        """What chance decides in an answer, in 64 hexadecimal digits: the same for all attempts of a replicate."""
        return replace(self, replicate=self.replicate.partition(".")[0]).key

    def sample(self, number: int) -> "Conversation":
        """The request whose answer is the `number`-th sample (from 0) of this one.

        The replicate "r.a" counts requests and their attempts: the samples of one call are those of the replicates
        from r on, so that the answers do not depend on how many samples a call asks for.
        """
        if number == 0:
            return self
        first, _, attempt = self.replicate.partition(".")
        following = f"{int(first) + number}.{attempt}" if first.isdecimal() else f"{self.replicate}/{number}"
        return replace(self, replicate=following)
