"""The HTTP connection under the vendors' batch APIs, which carry files beside JSON, and lines read from those files."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2

from llamaduo.config.services import ServiceSettings
from llamaduo.service.batches.interface import Result
from llamaduo.service.interface import Rejected, Transient
from llamaduo.service.providers.transport import CONNECT_SECONDS, answer_in_error, failure, one_line

FILE_SECONDS = 600.0
"""The longest wait for one part of a file of some hundred megabytes."""


def open_files_http(service: ServiceSettings) -> httpx2.AsyncClient:
    """A connection pool for one service's batches; a simulated service is on this machine, without a proxy between."""
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(FILE_SECONDS, connect=CONNECT_SECONDS),
        trust_env=not service.is_simulated,
        follow_redirects=True,
    )


def json_lines(content: bytes) -> Iterator[Any]:
    """The values in a file of JSON lines. Raises `Transient` when the file is broken off."""
    for line in content.splitlines():
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise Transient("the file of results is broken off or is not JSON lines") from error


def failed_call(
    id: str, status: int, message: str, code: str | None, *, max_tokens: int, service: ServiceSettings, key: str
) -> Result:
    """What it means for one call of a batch that it ended in an error, by the same rules as for a call of its own."""
    answer = answer_in_error(status, message, code, max_tokens=max_tokens, key=key)
    if answer is not None:
        return Result(id, (answer,))
    problem = failure(status, None, message, code, service=service, key=key)
    return Result(id, problem=one_line(str(problem), key), passing=not isinstance(problem, Rejected))
