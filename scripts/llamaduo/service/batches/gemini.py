"""Gemini's batches through AI Studio. https://ai.google.dev/gemini-api/docs/batch-api"""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
from google import genai
from google.genai import errors, types

from llamaduo.config.services import ServiceSettings
from llamaduo.service.batches.connection import FILE_SECONDS, failed_call, json_lines, open_files_http
from llamaduo.service.batches.interface import Asked, Result, State, Status
from llamaduo.service.interface import Request, Transient
from llamaduo.service.providers.gemini import API_VERSION, answers, body
from llamaduo.service.providers.transport import INCOMPLETE, failure, retry_after, unanswered

STATES: dict[str, State] = {
    "JOB_STATE_SUCCEEDED": "ended",
    "JOB_STATE_PARTIALLY_SUCCEEDED": "ended",
    "JOB_STATE_CANCELLED": "ended",
    "JOB_STATE_EXPIRED": "ended",
    "JOB_STATE_FAILED": "failed",
}
STATUS_OF_CODE = {3: 400, 5: 404, 7: 403, 8: 429, 9: 400, 16: 401}
"""HTTP's statuses for the codes of google.rpc.Code that are about the call; the others may pass."""
PAGE = 100


class GeminiBatches:
    """Batches behind google-genai, always with their calls in an uploaded file: those inside of a request are few."""

    most_requests = 100_000
    most_bytes = 2_000_000_000
    keeps_names = True

    def __init__(self, service: ServiceSettings, address: str | None, key: str) -> None:
        self._service, self._key = service, key
        self._http = open_files_http(service)
        self._client = genai.Client(
            vertexai=False,
            api_key=key,
            http_options=types.HttpOptions(
                base_url=address,
                api_version=API_VERSION,
                timeout=int(FILE_SECONDS * 1000),
                httpx_async_client=self._http,
            ),
        )

    def line(self, id: str, request: Request, samples: int) -> dict[str, Any]:
        return {"key": id, "request": body(self._service, request, samples)}

    async def submit(self, name: str, lines: Path) -> str:
        with self._explained():
            uploaded = await self._client.aio.files.upload(
                file=str(lines), config=types.UploadFileConfig(display_name=name, mime_type="application/jsonl")
            )
            batch = await self._client.aio.batches.create(
                model=self._service.model,
                src=types.BatchJobSource(file_name=uploaded.name),
                config=types.CreateBatchJobConfig(display_name=name),
            )
        return _name_of(batch)

    async def find(self, name: str, calls: int, since: datetime, known: Collection[str]) -> str | None:
        with self._explained():
            async for batch in await self._client.aio.batches.list(config=types.ListBatchJobsConfig(page_size=PAGE)):
                if batch.display_name == name:
                    return _name_of(batch)
        return None

    async def status(self, id: str) -> Status:
        with self._explained():
            batch = await self._client.aio.batches.get(name=id)
        word = _word(batch)
        state = STATES.get(word, "waiting")
        return Status(state, word, problem="no reason given" if state == "failed" else "")

    async def results(self, id: str, asked: Mapping[str, Asked]) -> AsyncIterator[Result]:
        with self._explained():
            batch = await self._client.aio.batches.get(name=id)
            file = batch.dest.file_name if batch.dest else None
            content = await self._client.aio.files.download(file=file) if file else b""
        lines = list(json_lines(content))
        if _word(batch) == "JOB_STATE_SUCCEEDED" and len(lines) < len(asked):
            raise Transient(f"the file of results holds {len(lines)} of {len(asked)} calls")
        for line in lines:
            if line.get("key") in asked:
                yield self._result(line["key"], line, asked[line["key"]])

    async def cancel(self, id: str) -> None:
        with self._explained():
            await self._client.aio.batches.cancel(name=id)

    async def close(self) -> None:
        await self._http.aclose()

    def _result(self, id: str, line: dict[str, Any], asked: Asked) -> Result:
        if line.get("response"):
            try:
                return Result(id, tuple(answers(line["response"], asked.samples)))
            except Transient as problem:
                return Result(id, problem=str(problem))
        error = line.get("error") or line.get("status") or {}
        code, message = error.get("code"), str(error.get("message") or "")
        status = code if isinstance(code, int) and code >= 100 else STATUS_OF_CODE.get(code or 0, 500)
        name = error.get("status")
        return failed_call(id, status, message, name, max_tokens=asked.max_tokens, service=self._service, key=self._key)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except errors.APIError as error:
            headers = getattr(error.response, "headers", None) or {}
            raise failure(
                error.code,
                retry_after(headers),
                str(error.message or ""),
                error.status,
                service=self._service,
                key=self._key,
            ) from error
        except httpx2.HTTPError as error:
            raise unanswered(error) from error
        except INCOMPLETE as error:
            raise Transient(f"not an answer of this protocol: {error}") from error


def _name_of(batch: types.BatchJob) -> str:
    if not batch.name:
        raise Transient("the batch has no name")
    return batch.name


def _word(batch: types.BatchJob) -> str:
    return str(batch.state.value) if batch.state else ""
