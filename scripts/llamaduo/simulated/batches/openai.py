"""OpenAI's files and batches, as the simulated service has them. https://platform.openai.com/docs/guides/batch"""

import json
import uuid

from aiohttp import web

from llamaduo.simulated.batches.endpoints import BatchEndpoints
from llamaduo.simulated.batches.store import Body, Line, SimulatedBatch, Store, jsonl, lower, wrong_ids
from llamaduo.simulated.protocols.interface import WireProtocol


class OpenAIBatches(BatchEndpoints):
    """A file of calls, then a batch of it, then a file of answers and one of errors."""

    def __init__(self, store: Store, protocol: WireProtocol) -> None:
        super().__init__(store, protocol)
        store.ended = self._files

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/files", self._upload),
            web.get("/v1/files/{file}/content", self._download),
            web.post("/v1/batches", self._create),
            web.get("/v1/batches", self._list),
            web.get("/v1/batches/{batch}", self._get),
            web.post("/v1/batches/{batch}/cancel", self._cancel),
        ]

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        parts: dict[str, bytes] = {}
        filename = ""
        async for part in await request.multipart():
            filename = getattr(part, "filename", None) or filename
            parts[getattr(part, "name", "") or ""] = bytes(await part.read())  # type: ignore[union-attr]
        if parts.get("purpose") != b"batch" or "file" not in parts or not filename.endswith(".jsonl"):
            return self._refused("bad_request", "a file with purpose batch and the ending .jsonl is needed")
        name = self._store.keep(parts["file"])
        content = {"id": name, "object": "file", "bytes": len(parts["file"]), "created_at": 0, "filename": filename}
        return web.json_response({**content, "purpose": "batch", "status": "processed"})

    async def _create(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        content = self._store.files.get(body.get("input_file_id", ""))
        if content is None or body.get("endpoint") != "/v1/chat/completions" or body.get("completion_window") != "24h":
            return self._refused(
                "bad_request", "a known file, the endpoint /v1/chat/completions and the window 24h are needed"
            )
        values = [json.loads(line) for line in content.splitlines()]
        batch = SimulatedBatch(
            f"batch_{uuid.uuid4().hex}",
            [Line(value["custom_id"], value["body"], value.get("replicate", "")) for value in values],
            headers=lower(request.headers),
            name=json.dumps(body.get("metadata")),
            input_file=body["input_file_id"],
            problem=wrong_ids([value["custom_id"] for value in values]),
        )
        if any(value.get("method") != "POST" or value.get("url") != body["endpoint"] for value in values):
            batch.problem = "invalid_url: method and url do not fit the endpoint"
        self._store.start(batch)
        return web.json_response(self._shown(batch, request))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        shown, more = self._store.page(request.query.get("after"), request.query.get("limit"))
        data = [self._shown(batch, request) for batch in shown]
        return web.json_response({"object": "list", "data": data, "has_more": more})

    def _shown(self, batch: SimulatedBatch, request: web.Request) -> Body:
        return _batch(batch)

    def _files(self, batch: SimulatedBatch) -> None:
        """The file of answers and the file of errors, each only if there is something in it."""
        answered = [line for line in batch.lines if line.fate == "answered"]
        others = [line for line in batch.lines if line.fate != "answered"]
        if answered:
            batch.output_file = self._store.keep(jsonl(_line(line) for line in reversed(answered)))
        if others:
            batch.error_file = self._store.keep(jsonl(_line(line) for line in others))


def _batch(batch: SimulatedBatch) -> Body:
    words = {"under way": "in_progress", "failed": "failed", "canceled": "cancelled"}
    status = words.get(batch.state) or ("expired" if batch.count("expired") else "completed")
    code, _, message = batch.problem.partition(": ")
    errors = {"object": "list", "data": [{"code": code, "message": message, "line": None, "param": None}]}
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "errors": errors if status == "failed" else None,
        "input_file_id": batch.input_file,
        "completion_window": "24h",
        "status": status,
        "output_file_id": batch.output_file,
        "error_file_id": batch.error_file,
        "created_at": int(batch.created.timestamp()),
        "metadata": json.loads(batch.name or "null"),
        "request_counts": {
            "total": len(batch.lines),
            "completed": batch.count("answered"),
            "failed": batch.count("errored", "rejected"),
        },
    }


def _line(line: Line) -> Body:
    told: Body = {"id": f"batch_req_{line.id}", "custom_id": line.id, "response": None, "error": None}
    if line.fate in ("expired", "canceled"):
        word = {"expired": "batch_expired", "canceled": "batch_cancelled"}[line.fate]
        return {**told, "error": {"code": word, "message": "This request was not executed in time."}}
    if line.fate == "answered":
        return {**told, "response": {"status_code": 200, "request_id": line.id, "body": line.response}}
    status, code = (500, "server_error") if line.fate == "errored" else (400, "invalid_request_error")
    error = {"message": line.response.get("message", "simulated error"), "type": code, "param": None, "code": code}
    return {**told, "response": {"status_code": status, "request_id": line.id, "body": {"error": error}}}
