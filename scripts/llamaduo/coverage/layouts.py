"""From a row in one of the known layouts to a checked conversation."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from llamaduo.cli.errors import InputError
from llamaduo.config.coverage import ALL_CATEGORIES, CoverageSettings
from llamaduo.coverage.rows import SourceRow
from llamaduo.models.messages import ROLES, Message, last_user
from llamaduo.storage.canonical import digest

SAME_ROLE = {"developer": "system"}
"""What OpenAI's newer models call the system turn."""
REQUIRED = {
    "no_robots": ("prompt", "prompt_id", "messages", "category"),
    "openai_chat": ("messages",),
    "columns": ("prompt", "response"),
}


@dataclass(frozen=True)
class Example:
    """One pair of the coverage dataset; `prompt_id` is empty when the source gives none."""

    place: str
    prompt: str
    prompt_id: str
    messages: list[Message]
    category: str


class Layout:
    """How this source's rows are to be read: the layout, and the column of each part that it has."""

    def __init__(self, settings: CoverageSettings, rows: Sequence[SourceRow], name: str) -> None:
        """Find the layout from the columns of all rows. Raises `InputError` naming a column that is missing."""
        found = list(dict.fromkeys(column for row in rows for column in row.values))
        named = settings.columns.model_dump(exclude_none=True)
        self.layout = settings.layout if settings.layout != "auto" else _detected(found, named, name)
        self.columns: dict[str, str] = {}
        for part in ("prompt", "response", "system", "messages", "prompt_id", "category"):
            column = named.get(part, part)
            required = part in REQUIRED[self.layout] or part in named
            if column in found:
                self.columns[part] = column
            elif required:
                hint = f" (coverage.columns.{part})" if part in named else f" (layout {self.layout})"
                raise InputError(f"{name}: the column {column!r} is missing{hint}; found: {', '.join(found) or 'none'}")

    @property
    def has_categories(self) -> bool:
        return "category" in self.columns

    def category(self, row: SourceRow) -> str:
        """The row's category, or `*` when the source has none."""
        if not self.has_categories:
            return ALL_CATEGORIES
        value = row.values.get(self.columns["category"])
        if value is None or not str(value).strip():
            raise InputError(f"{row.place}: no category, although other rows have one ({self.columns['category']})")
        return str(value).strip()

    def example(self, row: SourceRow) -> Example:
        """The row as a checked conversation. Raises `InputError` naming the row and what is wrong with it."""
        messages = self._pair(row) if self.layout == "columns" else _conversation(row, self.columns["messages"])
        _check_encoding(row, messages)
        prompt = last_user(messages)
        if self.layout == "no_robots":
            prompt = self._text(row, "prompt")
        identifier = row.values.get(self.columns.get("prompt_id", ""))
        prompt_id = "" if identifier is None else str(identifier).strip()
        if "prompt_id" in self.columns and not prompt_id:
            raise InputError(f"{row.place}: no prompt_id, although there is such a column")
        return Example(row.place, prompt, prompt_id, messages, self.category(row))

    def _pair(self, row: SourceRow) -> list[Message]:
        messages = []
        if "system" in self.columns and row.values.get(self.columns["system"]) not in (None, ""):
            messages.append(Message(role="system", content=self._text(row, "system")))
        messages.append(Message(role="user", content=self._text(row, "prompt")))
        messages.append(Message(role="assistant", content=self._text(row, "response")))
        return messages

    def _text(self, row: SourceRow, part: str) -> str:
        column = self.columns[part]
        value = row.values.get(column)
        if value is None or (isinstance(value, str) and not value.strip()):
            raise InputError(
                f"{row.place}: the {part} is {'missing' if value is None else 'blank'} (column {column!r})"
            )
        if not isinstance(value, str):
            raise InputError(f"{row.place}: the {part} is no text but {value!r:.60} (column {column!r})")
        return value


def with_ids(examples: Sequence[Example]) -> list[Example]:
    """The same examples, those without an id given one made from their text.

    Rows of equal text are told apart by their order. Raises `InputError` when an id is there twice.
    """
    seen: dict[str, str] = {}
    repeats: dict[str, int] = {}
    result = []
    for example in examples:
        prompt_id = example.prompt_id
        if not prompt_id:
            made = digest(example.messages)
            repeats[made] = repeats.get(made, 0) + 1
            prompt_id = made if repeats[made] == 1 else f"{made}-{repeats[made]}"
        if prompt_id in seen:
            raise InputError(f"{example.place}: the prompt_id {prompt_id!r} is that of {seen[prompt_id]} too")
        seen[prompt_id] = example.place
        result.append(replace(example, prompt_id=prompt_id))
    return result


def _detected(found: Sequence[str], named: dict[str, str], name: str) -> str:
    if "prompt" in named or "response" in named:
        return "columns"
    for layout in ("no_robots", "openai_chat", "columns"):
        if all(named.get(column, column) in found for column in REQUIRED[layout]):
            return layout
    raise InputError(
        f"{name}: no known layout: it needs a column messages, or columns prompt and response (other names: "
        f"coverage.columns); found: {', '.join(found) or 'none'}"
    )


def _conversation(row: SourceRow, column: str) -> list[Message]:
    turns = row.values.get(column)
    if isinstance(turns, str):
        try:
            turns = json.loads(turns)
        except (json.JSONDecodeError, RecursionError) as error:
            raise InputError(f"{row.place}: {column} is text, but not JSON: {error}") from error
    if not isinstance(turns, list) or not turns:
        raise InputError(f"{row.place}: {column} must be a list of turns, each with role and content")
    messages = [_turn(turn, row, number) for number, turn in enumerate(turns, start=1)]
    if messages[0]["role"] == "system" and not messages[0]["content"].strip():
        del messages[0]
    _check_order(row, messages)
    for number, message in enumerate(messages, start=1):
        if not message["content"].strip():
            what = "response" if number == len(messages) else f"{message['role']} turn"
            raise InputError(f"{row.place}: the {what} is blank (turn {number} of {column})")
    return messages


def _turn(turn: Any, row: SourceRow, number: int) -> Message:
    if not isinstance(turn, dict) or not {"role", "content"} <= turn.keys():
        raise InputError(f"{row.place}: turn {number} must have role and content")
    role = SAME_ROLE.get(turn["role"], turn["role"]) if isinstance(turn["role"], str) else turn["role"]
    if role not in ROLES:
        raise InputError(f"{row.place}: turn {number}: unknown role {turn['role']!r}; roles are {', '.join(ROLES)}")
    content = turn["content"]
    if isinstance(content, list):
        if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
            raise InputError(f"{row.place}: turn {number}: holds something else than text")
        content = "\n".join(part["text"] for part in content)
    if content is None:
        content = ""
    if not isinstance(content, str):
        raise InputError(f"{row.place}: turn {number}: the content is no text but {content!r:.60}")
    return Message(role=role, content=content)


def _check_order(row: SourceRow, messages: Sequence[Message]) -> None:
    """Chat templates take a system turn at the start and then user and assistant in turn, and nothing else."""
    if not messages or messages[-1]["role"] != "assistant":
        last = messages[-1]["role"] if messages else "none"
        raise InputError(f"{row.place}: the last turn must be the assistant's response; it is {last}")
    start = 1 if messages[0]["role"] == "system" else 0
    for number, message in enumerate(messages[start:], start=start + 1):
        expected = "user" if (number - start) % 2 == 1 else "assistant"
        if message["role"] != expected:
            raise InputError(
                f"{row.place}: turn {number} is {message['role']}, expected {expected}: after a system turn at the "
                "start, if any, user and assistant take turns"
            )


def _check_encoding(row: SourceRow, messages: Sequence[Message]) -> None:
    for number, message in enumerate(messages, start=1):
        try:
            message["content"].encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"{row.place}: turn {number}: half a surrogate pair, which is not valid text") from error
