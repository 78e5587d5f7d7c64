"""AI Studio's files and batches, as the simulated service has them. https://ai.google.dev/api/batch-api"""

import json
import uuid

from aiohttp import web

from llamaduo.simulated.batches.endpoints import BatchEndpoints
from llamaduo.simulated.batches.store import Body, Line, SimulatedBatch, Store, jsonl, lower
from llamaduo.simulated.protocols.interface import WireProtocol


class GeminiBatches(BatchEndpoints):
    """A file of calls, uploaded in parts, then a batch of it, then a file of answers."""

    def __init__(self, store: Store, protocol: WireProtocol) -> None:
        super().__init__(store, protocol)
        self._uploads: dict[str, bytearray] = {}
        store.ended = self._keep_results

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/upload/v1beta/files", self._upload),
            web.get("/v1beta/files/{file}:download", self._download),
            web.post("/v1beta/models/{model}:batchGenerateContent", self._create),
            web.get("/v1beta/batches", self._list),
            web.get("/v1beta/batches/{batch}", self._get),
            web.post("/v1beta/batches/{batch}:cancel", self._cancel),
        ]

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        """The resumable upload: a start, which is told where to send, then the parts."""
        command = request.headers.get("X-Goog-Upload-Command", "")
        if command == "start":
            name = uuid.uuid4().hex
            self._uploads[name] = bytearray()
            address = f"http://{request.host}{request.path}?upload_id={name}"
            return web.json_response({}, headers={"X-Goog-Upload-URL": address})
        name = request.query.get("upload_id", "")
        if name not in self._uploads or int(request.headers["X-Goog-Upload-Offset"]) != len(self._uploads[name]):
            return self._refused("bad_request", "no such upload, or a part is missing")
        self._uploads[name] += await request.content.read()
        if "finalize" not in command:
            return web.json_response({}, headers={"X-Goog-Upload-Status": "active"})
        kept = self._store.keep(bytes(self._uploads.pop(name)))
        file = {"name": f"files/{kept}", "state": "ACTIVE"}
        return web.json_response({"file": file}, headers={"X-Goog-Upload-Status": "final"})

    async def _create(self, request: web.Request) -> web.StreamResponse:
        body = (await request.json())["batch"]
        content = self._store.files.get(body["inputConfig"].get("fileName", "").removeprefix("files/"))
        if content is None or not body.get("displayName"):
            return self._refused("bad_request", "a known file and a displayName are needed")
        values = [json.loads(line) for line in content.splitlines()]
        batch = SimulatedBatch(
            uuid.uuid4().hex,
            [Line(value["key"], value["request"], value.get("replicate", "")) for value in values],
            headers=lower(request.headers),
            model=request.match_info["model"],
            name=body["displayName"],
        )
        self._store.start(batch)
        return web.json_response(self._shown(batch, request))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        shown, more = self._store.page(request.query.get("pageToken"), request.query.get("pageSize"))
        page = {"operations": [self._shown(batch, request) for batch in shown]}
        return web.json_response({**page, "nextPageToken": shown[-1].id} if more else page)

    def _shown(self, batch: SimulatedBatch, request: web.Request) -> Body:
        return _batch(batch)

    def _canceled(self, batch: SimulatedBatch, request: web.Request) -> Body:
        return {}

    def _keep_results(self, batch: SimulatedBatch) -> None:
        batch.output_file = self._store.keep(jsonl(_line(line) for line in batch.lines))


def _batch(batch: SimulatedBatch) -> Body:
    words = {"under way": "RUNNING", "failed": "FAILED", "canceled": "CANCELLED"}
    # An expired batch keeps what was answered in its file.
    word = words.get(batch.state) or ("EXPIRED" if batch.count("expired") else "SUCCEEDED")
    metadata: Body = {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
        "model": f"models/{batch.model}",
        "displayName": batch.name,
        "createTime": batch.created.isoformat(),
        "state": f"BATCH_STATE_{word}",
        "batchStats": {"requestCount": str(len(batch.lines))},
    }
    if batch.output_file:
        metadata["output"] = {"responsesFile": f"files/{batch.output_file}"}
    return {"name": f"batches/{batch.id}", "metadata": metadata, "done": batch.state != "under way"}


def _line(line: Line) -> Body:
    if line.fate == "answered":
        return {"key": line.id, "response": line.response}
    codes = {"expired": (4, "deadline exceeded"), "rejected": (3, line.response.get("message", ""))}
    code, message = codes.get(line.fate or "", (13, "simulated error"))
    return {"key": line.id, "error": {"code": code, "message": message}}
