"""The turns of a conversation as the vendors want them that take the system turn apart from the others."""

from collections.abc import Sequence

from llamaduo.models.messages import Message


def split_system(messages: Sequence[Message]) -> tuple[str, list[Message]]:
    """The system turns' text, empty when there is none, and the other turns."""
    system = "\n\n".join(turn["content"] for turn in messages if turn["role"] == "system")
    return system, [turn for turn in messages if turn["role"] != "system"]
