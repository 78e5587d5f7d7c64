"""The HTTP connection under every vendor's SDK, and what a failed exchange means."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.request import getproxies

import httpx2

from llamaduo.cli.errors import InputError
from llamaduo.config.services import ServiceSettings
from llamaduo.config.vendors import WITH_LOCATION
from llamaduo.service.interface import Answer, Rejected, StopReason, Transient
from llamaduo.service.providers.fast_http import AiohttpTransport
from llamaduo.service.providers.keys import key_variables
from llamaduo.storage.text import storable

CONNECT_SECONDS = 10.0
LONGEST_MESSAGE = 300
"""Characters of a vendor's error message that are shown."""

Observe = Callable[[Mapping[str, str]], None]
"""Is told the headers of every response, whatever its status, as soon as they are there."""

PARSED = "llamaduo.parsed"
WAYS = "check base_url, set HTTPS_PROXY if there is a proxy, or run this step where there is internet"

INCOMPLETE = (AttributeError, LookupError, TypeError, ValueError, RecursionError)
"""What reading an answer raises that lacks a field or is no JSON."""
PASSING_STATUS = frozenset({408, 409, 425, 429})
"""Statuses below 500 that may pass: timeout, conflict, too early, too many requests (RFC 9110, 8470, 6585)."""
NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_error"})
"""Vendors' codes of a 429 that no waiting ends: the account has no credit left."""
NO_CREDIT_WORDS = re.compile(
    r"credit balance is too low|billing hard limit|no credits? (left|remaining)", re.IGNORECASE
)
"""How Anthropic says so, with status 400."""
UNKNOWN_MODEL = re.compile(r"model identifier is invalid|DeploymentNotFound", re.IGNORECASE)
"""How Amazon says, with status 400, that it does not know a model."""
TOO_MANY, TOO_LARGE = 429, 413
TOO_LONG_CODES = frozenset({"context_length_exceeded", "string_above_max_length", "exceed_context_size_error"})
TOO_LONG = re.compile(
    r"maximum context length|model's context length|context window|available context size|exceed context limit"
    r"|prompt is too long|input token count .*exceeds|max_tokens must be at least 1, got -"
    r"|model output limit was reached",
    re.IGNORECASE,
)
"""How the vendors, vLLM, SGLang and llama.cpp say that a prompt and its answer have no room together."""
CONTEXT_LIMIT = re.compile(
    r"(?:maximum context length (?:is|of)|exceed context limit: \d+ \+ \d+ >) (\d+)", re.IGNORECASE
)
FILTERED_CODES = frozenset({"content_filter", "content_policy_violation", "invalid_prompt"})
FILTERED = re.compile(r"blocked by content filtering policy", re.IGNORECASE)
"""How OpenAI and Azure, by code, and Anthropic, by message, say that a filter stopped a prompt or its answer."""


def ignore(headers: Mapping[str, str]) -> None:
    """Observe nothing."""


def open_http(service: ServiceSettings, observe: Observe = ignore) -> httpx2.AsyncClient:
    """A connection pool for one service, to be handed to its vendor's SDK.

    A simulated service is on this machine, so no proxy of the site stands between. Raises `InputError` when the
    environment's proxies are none.
    """

    async def check(response: httpx2.Response) -> None:
        observe(response.headers)
        await _whole_body(response)

    proxies = not service.is_simulated and any(scheme != "no" for scheme in getproxies())
    try:
        return httpx2.AsyncClient(
            timeout=httpx2.Timeout(service.timeout_seconds, connect=min(CONNECT_SECONDS, service.timeout_seconds)),
            limits=httpx2.Limits(max_connections=service.concurrency, max_keepalive_connections=service.concurrency),
            # httpx2's own transport knows every kind of proxy.
            transport=None if proxies else AiohttpTransport(service.concurrency),
            trust_env=not service.is_simulated,
            follow_redirects=True,
            event_hooks={"response": [check]},
        )
    except (ValueError, ImportError, httpx2.InvalidURL) as error:
        if not proxies:
            raise
        # The error may show the proxy's password.
        raise InputError(
            "the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names cannot be used; http://HOST:PORT is expected"
        ) from error


async def _whole_body(response: httpx2.Response) -> None:
    """Let no answer pass whose body is not whole.

    A connection that is lost in the middle of a body without a length looks like a shorter body, and a proxy's error
    page with status 200 like text; the SDKs would hand both on as answers.
    """
    await response.aread()
    if response.is_success:
        try:
            response.extensions[PARSED] = json.loads(response.content)
        except (ValueError, RecursionError) as error:
            raise httpx2.RemoteProtocolError(
                "the answer's body is broken off or is not JSON", request=response.request
            ) from error


def parsed(response: httpx2.Response) -> Any:
    """The value of a successful response's body, which was read when it arrived."""
    return response.extensions[PARSED]


@contextmanager
def reading() -> Iterator[None]:
    """Raise `Transient` when what is read within proves not to be an answer."""
    try:
        yield
    except INCOMPLETE as error:
        raise Transient(
            f"not an answer of this protocol: {type(error).__name__}: {error}", may_be_charged=True
        ) from error


def unanswered(error: BaseException, host: str | None = None) -> Transient:
    """What it means that no answer came: `error` is the SDK's, its causes the connection's. `host`: where it was sent.

    It may pass, so it is no `Rejected`; but where a machine has no way to the service it never does, and the message
    tells what would be right.
    """
    causes = list(_causes(error))
    request = next((found for cause in causes if (found := getattr(cause, "_request", None)) is not None), None)
    host = str(getattr(getattr(request, "url", None), "host", None) or host or "the service")
    reason = one_line(str(causes[-1]) or str(error) or type(causes[-1]).__name__, key=None)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Transient(f"no answer: the name {host} is not known here ({reason}); {WAYS}")
    if any(isinstance(cause, httpx2.ProxyError) for cause in causes):
        return Transient(f"no answer: the proxy did not let the request through ({reason}); check HTTPS_PROXY")
    if any(isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | ConnectionRefusedError) for cause in causes):
        return Transient(f"no answer: {host} cannot be reached ({reason}); {WAYS}")
    return Transient(f"no answer: {reason}", may_be_charged=True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from, down to the first cause."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__ or next((a for a in found.args if isinstance(a, Exception)), None)


def answered(
    text: str, stop_reason: StopReason, detail: str, *, prompt_tokens: int = 0, completion_tokens: int = 0
) -> Answer:
    """An answer that came just now, its texts such that every file can hold them."""
    return Answer(storable(text), stop_reason, prompt_tokens, completion_tokens, now(), storable(detail))


def answer_in_error(status: int, message: str, code: object, *, max_tokens: int, key: str | None) -> Answer | None:
    """The empty answer that an error means which is about this one request; None for every other error.

    One prompt that is too long, or that a filter stops, says nothing about the others, and asking again would change
    nothing. Where `max_tokens` alone fills the model's context no prompt has room, which is an error of the settings.
    """
    if status not in (400, TOO_LARGE):
        return None
    detail = one_line(message, key)
    if code in FILTERED_CODES or FILTERED.search(message):
        return answered("", "filtered", detail)
    limit = CONTEXT_LIMIT.search(message)
    if limit and max_tokens >= int(limit.group(1)):
        return None
    # Some servers use 413 for an account's limit of tokens per minute, which is not about the model.
    too_large = status == TOO_LARGE and code != "rate_limit_exceeded"
    if too_large or code in TOO_LONG_CODES or TOO_LONG.search(message):
        return answered("", "length", detail)
    return None


def failure(
    status: int, retry_after: float | None, message: str, code: str | None, *, service: ServiceSettings, key: str | None
) -> Transient | Rejected:
    """What an error status means: something that may pass, or something that will not.

    `retry_after` is in seconds; `message` and `code` are the vendor's. The message is shown in one line, without key,
    and says what to do.
    """
    shown = f"status {status}: {one_line(message, key)}"
    if code in NO_CREDIT or NO_CREDIT_WORDS.search(message):
        return Rejected(f"the account has no credit left ({shown}); raise its credit or quota, then start again")
    if UNKNOWN_MODEL.search(message):
        return _unknown(shown, service)
    if status >= 500 or status in PASSING_STATUS:
        return Transient(shown, retry_after, is_limit=status == TOO_MANY)
    if status in {401, 403} or "api key not valid" in message.lower():
        what = "the credentials are" if service.provider in WITH_LOCATION else "the API key is"
        return Rejected(f"{what} not accepted ({shown}); check {' or '.join(key_variables(service))}")
    if status == 404:
        return _unknown(shown, service)
    return Rejected(f"the request is not accepted ({shown})")


def _unknown(shown: str, service: ServiceSettings) -> Rejected:
    places = ["base_url"] * bool(service.base_url) + ["location"] * (service.provider in WITH_LOCATION)
    settings = " and ".join(["model", *places])
    return Rejected(f"the model {service.model!r} or the address is not known ({shown}); check {settings}")


def vendor_message(body: object, otherwise: str) -> str:
    """The message in an error's body; the SDKs' own messages hold the whole body."""
    inner = body.get("error", body) if isinstance(body, dict) else None
    message = inner.get("message") if isinstance(inner, dict) else inner
    return message if isinstance(message, str) and message else otherwise


def one_line(message: str, key: str | None) -> str:
    """A vendor's message in one line of bearable length, without the key, which some servers repeat."""
    line = " ".join((message.replace(key, "***") if key else message).split())
    return line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]} ..."


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: a number, or a date (RFC 9110, 10.2.3)."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, seconds)


def now() -> str:
    """The time in UTC, ISO 8601 to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
