"""OpenAI's batches of chat completions. https://platform.openai.com/docs/guides/batch"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import openai
from openai.types import Batch

from llamaduo.config.services import ServiceSettings
from llamaduo.service.batches.connection import failed_call, json_lines, open_files_http
from llamaduo.service.batches.interface import Asked, Result, State, Status
from llamaduo.service.interface import Request, Transient
from llamaduo.service.providers.openai import answers, body
from llamaduo.service.providers.transport import failure, one_line, retry_after, unanswered, vendor_message

ENDPOINT: Literal["/v1/chat/completions"] = "/v1/chat/completions"
NAME = "llamaduo"
"""The key of a batch's metadata that holds its name."""
STATES: dict[str, State] = {"completed": "ended", "expired": "ended", "cancelled": "ended", "failed": "failed"}
PASSING_CODES = frozenset({"token_limit_exceeded", "rate_limit_exceeded", "server_error"})
"""Why a batch may fail that is in order: the account has too many tokens in its queue, or the vendor's own trouble."""
PASSING_CALLS = frozenset({"batch_expired", "batch_cancelled"})
PAGE = 100


class OpenAIBatches:
    """Batches behind the OpenAI SDK. `address` is as in `service.openai`."""

    most_requests = 50_000
    most_bytes = 200_000_000
    keeps_names = True

    def __init__(self, service: ServiceSettings, address: str | None, key: str) -> None:
        self._service, self._key = service, key
        self._client = openai.AsyncOpenAI(
            api_key=key,
            base_url=f"{address}/v1" if address and service.is_simulated else address,
            max_retries=0,
            http_client=open_files_http(service),
        )

    def line(self, id: str, request: Request, samples: int) -> dict[str, Any]:
        return {"custom_id": id, "method": "POST", "url": ENDPOINT, "body": body(self._service, request, samples)}

    async def submit(self, name: str, lines: Path) -> str:
        with self._explained():
            with lines.open("rb") as file:
                uploaded = await self._client.files.create(file=(f"{name}.jsonl", file), purpose="batch")
            batch = await self._client.batches.create(
                input_file_id=uploaded.id, endpoint=ENDPOINT, completion_window="24h", metadata={NAME: name}
            )
        return batch.id

    async def find(self, name: str, calls: int, since: datetime, known: Collection[str]) -> str | None:
        with self._explained():
            async for batch in self._client.batches.list(limit=PAGE):
                if (batch.metadata or {}).get(NAME) == name:
                    return batch.id
                if batch.created_at < since.timestamp():
                    return None
        return None

    async def status(self, id: str) -> Status:
        with self._explained():
            batch = await self._client.batches.retrieve(id)
        counts = batch.request_counts
        done = counts.completed + counts.failed if counts else 0
        state = STATES.get(batch.status, "waiting")
        if state != "failed":
            return Status(state, batch.status, done)
        errors = (batch.errors.data if batch.errors else None) or []
        problem = "; ".join(f"{error.code}: {error.message}" for error in errors[:3])
        passing = bool(errors) and all(error.code in PASSING_CODES for error in errors)
        return Status("failed", batch.status, 0, one_line(problem or "no reason given", self._key), passing=passing)

    async def results(self, id: str, asked: Mapping[str, Asked]) -> AsyncIterator[Result]:
        with self._explained():
            batch = await self._client.batches.retrieve(id)
        for file, expected in self._files(batch):
            with self._explained():
                content = (await self._client.files.content(file)).content
            lines = list(json_lines(content))
            if len(lines) < expected:
                raise Transient(f"the file of results holds {len(lines)} of {expected} calls")
            for line in lines:
                if line.get("custom_id") in asked:
                    yield self._result(line, asked[line["custom_id"]])

    async def cancel(self, id: str) -> None:
        with self._explained():
            await self._client.batches.cancel(id)

    async def close(self) -> None:
        await self._client.close()

    def _files(self, batch: Batch) -> Iterator[tuple[str, int]]:
        """The files of answers and of errors, with the number of calls that they must hold at least."""
        if batch.output_file_id:
            yield batch.output_file_id, batch.request_counts.completed if batch.request_counts else 0
        if batch.error_file_id:
            yield batch.error_file_id, 0

    def _result(self, line: dict[str, Any], asked: Asked) -> Result:
        id, error, response = line["custom_id"], line.get("error") or {}, line.get("response") or {}
        status = response.get("status_code")
        if status == 200:
            try:
                return Result(id, tuple(answers(response["body"], asked.samples)))
            except Transient as problem:
                return Result(id, problem=str(problem))
        inner = (response.get("body") or {}).get("error") or error
        code, message = inner.get("code") or inner.get("type"), str(inner.get("message") or error.get("code") or "")
        if status is None or code in PASSING_CALLS:
            return Result(id, problem=one_line(f"{code}: {message}", self._key))
        return failed_call(id, status, message, code, max_tokens=asked.max_tokens, service=self._service, key=self._key)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except openai.APIStatusError as error:
            message = vendor_message(error.body, error.message)
            after = retry_after(error.response.headers)
            code = error.code or error.type
            raise failure(error.status_code, after, message, code, service=self._service, key=self._key) from error
        except openai.APIConnectionError as error:
            raise unanswered(error) from error
        except openai.APIResponseValidationError as error:
            raise Transient(f"not an answer of this protocol: {error.message}") from error
