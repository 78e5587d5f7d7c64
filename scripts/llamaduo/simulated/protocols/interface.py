"""What the simulated service needs of a vendor's protocol, and what the protocols share."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol

from jsonschema import Draft202012Validator, SchemaError
from pydantic import BaseModel, ConfigDict, ValidationError

from llamaduo.models.messages import Message
from llamaduo.simulated.allowance import Left
from llamaduo.simulated.conversation import Conversation
from llamaduo.simulated.reply import Reply
from llamaduo.storage.canonical import canonical

Body = dict[str, Any]
Headers = Mapping[str, str]
Problem = Literal[
    "bad_request", "wrong_key", "unknown_model", "no_credit", "rate_limit", "server_error", "overloaded", "not_found"
]


class BadRequest(Exception):  # noqa: N818
    """Raised by the reader of a request that the vendor would refuse; the message is the vendor's kind of message."""


@dataclass(frozen=True)
class Refusal:
    """An answer that is an error: its status, and its body as the vendor words it."""

    status: int
    body: Body


class WireProtocol(Protocol):
    """Reads requests and words answers as one vendor does.

    Header names are in lower case. `model` is the one that the path names, or None.
    """

    name: str

    def credential(self, headers: Headers) -> str | None:
        """The key or token that a request shows; None when it shows none in the vendor's way."""
        ...

    def read(self, headers: Headers, body: Any, model: str | None) -> Conversation:
        """What is asked. Raises `BadRequest` for whatever the vendor documents no such field, type or value for."""
        ...

    def write(self, model: str, replies: Sequence[Reply], key: str) -> Body:
        """The answer with these replies, of which there is at least one."""
        ...

    def refusal(self, problem: Problem, message: str) -> Refusal:
        """The error that tells of a problem."""
        ...

    def limit_headers(self, left: Left) -> dict[str, str]:
        """The headers that tell what is left of the limits; of a vendor that sends none, none."""
        ...


class Strict(BaseModel):
    """A part of a request: unknown fields are refused, and values are taken in their own type only."""

    model_config = ConfigDict(extra="forbid", strict=True)


def checked(model: type[Strict], body: Any) -> Any:
    """The request as `model` describes it; raises `BadRequest` that names the first field which is wrong."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise BadRequest(f"{where}: {first['msg']}") from error


def bearer(headers: Headers) -> str | None:
    """The token of a header `Authorization: Bearer TOKEN`."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme == "Bearer" else None


def check_schema(schema: Mapping[str, Any], closed: bool) -> None:
    """Raise `BadRequest` unless `schema` is a JSON schema of an object, with `closed` one whose objects are closed."""
    if problem := _schema_problem(canonical(schema), closed):
        raise BadRequest(f"invalid schema: {problem}")


@lru_cache(maxsize=256)
def _schema_problem(schema_json: str, closed: bool) -> str | None:
    schema = json.loads(schema_json)
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return error.message
    if schema.get("type") != "object":
        return "the root must be of type object"
    if closed:
        for part in _objects(schema):
            if part.get("additionalProperties") is not False:
                return "additionalProperties must be false in every object"
            if not set(part.get("properties", {})) <= set(part.get("required", [])):
                return "required must name every property"
    return None


def _objects(schema: Any) -> Iterable[Mapping[str, Any]]:
    if isinstance(schema, list):
        for part in schema:
            yield from _objects(part)
    elif isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for part in schema.values():
            yield from _objects(part)


def with_user(turns: Iterable[Message]) -> tuple[Message, ...]:
    """The turns, among which there must be one of the user."""
    messages = tuple(turns)
    if not any(turn["role"] == "user" for turn in messages):
        raise BadRequest("there is no user turn")
    return messages
