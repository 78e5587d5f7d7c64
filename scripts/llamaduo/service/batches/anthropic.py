"""Anthropic's message batches. https://platform.claude.com/docs/en/build-with-claude/batch-processing"""

import json
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import anthropic

from llamaduo.config.services import ServiceSettings
from llamaduo.service.batches.connection import failed_call, json_lines, open_files_http
from llamaduo.service.batches.interface import Asked, Result, Status
from llamaduo.service.interface import Request, Transient
from llamaduo.service.providers.anthropic import answers, body
from llamaduo.service.providers.transport import failure, retry_after, unanswered, vendor_message

PAGE = 100
STATUS_OF_ERROR = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "billing_error": 400,
    "overloaded_error": 529,
}
"""The statuses that go with the errors, which a call inside of a batch has without one."""


class AnthropicBatches:
    """Batches behind the Anthropic SDK."""

    most_requests = 100_000
    most_bytes = 256_000_000
    keeps_names = False

    def __init__(self, service: ServiceSettings, address: str | None, key: str) -> None:
        self._service, self._key = service, key
        self._client = anthropic.AsyncAnthropic(
            api_key=key, base_url=address, max_retries=0, http_client=open_files_http(service)
        )

    def line(self, id: str, request: Request, samples: int) -> dict[str, Any]:
        return {"custom_id": id, "params": body(self._service, request, samples)}

    async def submit(self, name: str, lines: Path) -> str:
        with lines.open("rb") as file:
            requests = [json.loads(line) for line in file]
        with self._explained():
            return (await self._client.messages.batches.create(requests=requests)).id

    async def find(self, name: str, calls: int, since: datetime, known: Collection[str]) -> str | None:
        """These batches have no names: the oldest of as many calls. Its results tell by their ids whether it is it."""
        found = None
        with self._explained():
            async for batch in self._client.messages.batches.list(limit=PAGE):
                if batch.created_at < since:
                    break
                counts = batch.request_counts
                total = counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
                if total == calls and batch.id not in known:
                    found = batch.id
        return found

    async def status(self, id: str) -> Status:
        with self._explained():
            batch = await self._client.messages.batches.retrieve(id)
        counts = batch.request_counts
        done = counts.succeeded + counts.errored + counts.canceled + counts.expired
        return Status("ended" if batch.processing_status == "ended" else "waiting", batch.processing_status, done)

    async def results(self, id: str, asked: Mapping[str, Asked]) -> AsyncIterator[Result]:
        with self._explained():
            batch = await self._client.messages.batches.retrieve(id)
            # The SDK's own reader passes over what is broken off at the end.
            response = await self._client.messages.batches.with_raw_response.results(id)
            content = await response.http_response.aread()
        counts = batch.request_counts
        lines = list(json_lines(content))
        expected = counts.succeeded + counts.errored + counts.canceled + counts.expired
        if len(lines) < expected:
            raise Transient(f"the file of results holds {len(lines)} of {expected} calls")
        for line in lines:
            if line.get("custom_id") in asked:
                yield self._result(line["custom_id"], line["result"], asked[line["custom_id"]])

    async def cancel(self, id: str) -> None:
        with self._explained():
            await self._client.messages.batches.cancel(id)

    async def close(self) -> None:
        await self._client.close()

    def _result(self, id: str, result: dict[str, Any], asked: Asked) -> Result:
        kind = result["type"]
        if kind == "succeeded":
            try:
                return Result(id, tuple(answers(result["message"])))
            except Transient as problem:
                return Result(id, problem=str(problem))
        if kind != "errored":
            return Result(id, problem=kind)
        error = result["error"].get("error") or result["error"]
        name, message = error.get("type"), str(error.get("message") or "")
        status = STATUS_OF_ERROR.get(name, 500)
        return failed_call(id, status, message, name, max_tokens=asked.max_tokens, service=self._service, key=self._key)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except anthropic.APIStatusError as error:
            message = vendor_message(error.body, error.message)
            after = retry_after(error.response.headers)
            raise failure(
                error.status_code, after, message, error.type, service=self._service, key=self._key
            ) from error
        except anthropic.APIConnectionError as error:
            raise unanswered(error) from error
        except anthropic.APIResponseValidationError as error:
            raise Transient(f"not an answer of this protocol: {error.message}") from error
