"""Conversations in the chat layout: a list of turns, each a role (system, user, assistant) and its content."""

from collections.abc import Sequence
from typing import TypedDict

ROLES = ("system", "user", "assistant")


class Message(TypedDict):
    role: str
    content: str


def context(messages: Sequence[Message]) -> list[Message]:
    """The turns before the last response: what a model is given to answer."""
    return list(messages[:-1]) if messages and messages[-1]["role"] == "assistant" else list(messages)


def response(messages: Sequence[Message]) -> str:
    """The last response, which is what is learned, compared and graded."""
    return messages[-1]["content"]


def last_user(messages: Sequence[Message]) -> str:
    """The content of the last user turn."""
    return next(turn["content"] for turn in reversed(messages) if turn["role"] == "user")


def as_text(messages: Sequence[Message]) -> str:
    """A context as one text: the user's words alone when there is one user turn and nothing else."""
    if len(messages) == 1 and messages[0]["role"] == "user":
        return messages[0]["content"]
    return "\n\n".join(f"[{turn['role']}]\n{turn['content']}" for turn in messages)


def fold_system(messages: Sequence[Message]) -> list[Message]:
    """The same turns with a leading system turn put before the first user turn's content."""
    if not messages or messages[0]["role"] != "system":
        return list(messages)
    system, first, *rest = messages
    return [Message(role="user", content=f"{system['content']}\n\n{first['content']}"), *rest]
