"""Anthropic's message batches, as the simulated service has them.

https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""

import json
import uuid
from datetime import UTC, datetime, timedelta

from aiohttp import web

from llamaduo.simulated.batches.endpoints import BatchEndpoints
from llamaduo.simulated.batches.store import Body, Line, SimulatedBatch, jsonl, lower, wrong_ids

WINDOW = timedelta(hours=24)


class AnthropicBatches(BatchEndpoints):
    """A batch with its calls in it, then its results."""

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/messages/batches", self._create),
            web.get("/v1/messages/batches", self._list),
            web.get("/v1/messages/batches/{batch}", self._get),
            web.get("/v1/messages/batches/{batch}/results", self._results),
            web.post("/v1/messages/batches/{batch}/cancel", self._cancel),
        ]

    async def _create(self, request: web.Request) -> web.StreamResponse:
        values = json.loads(await request.content.read())["requests"]
        if problem := wrong_ids([value["custom_id"] for value in values]):
            return self._refused("bad_request", problem)
        lines = [Line(value["custom_id"], value["params"], value.get("replicate", "")) for value in values]
        batch = SimulatedBatch(f"msgbatch_{uuid.uuid4().hex}", lines, lower(request.headers))
        self._store.start(batch)
        return web.json_response(self._shown(batch, request))

    async def _list(self, request: web.Request) -> web.StreamResponse:
        shown, more = self._store.page(request.query.get("after_id"), request.query.get("limit"))
        return web.json_response(
            {
                "data": [self._shown(batch, request) for batch in shown],
                "has_more": more,
                "first_id": shown[0].id if shown else None,
                "last_id": shown[-1].id if shown else None,
            }
        )

    async def _results(self, request: web.Request) -> web.StreamResponse:
        batch = self._store.batches.get(request.match_info["batch"])
        if batch is None or batch.state == "under way":
            return self._refused("not_found", "no such batch, or it has not ended")
        content = jsonl(_line(line) for line in reversed(batch.lines))
        return web.Response(body=content, content_type="application/x-jsonl")

    def _shown(self, batch: SimulatedBatch, request: web.Request) -> Body:
        return _batch(batch, request.host)


def _batch(batch: SimulatedBatch, host: str) -> Body:
    has_ended = batch.state != "under way"
    counts = {
        "processing": 0 if has_ended else len(batch.lines),
        "succeeded": batch.count("answered"),
        "errored": batch.count("errored", "rejected"),
        "canceled": batch.count("canceled"),
        "expired": batch.count("expired"),
    }
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if has_ended else "in_progress",
        "request_counts": counts,
        "ended_at": datetime.now(UTC).isoformat() if has_ended else None,
        "created_at": batch.created.isoformat(),
        "expires_at": (batch.created + WINDOW).isoformat(),
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": f"http://{host}/v1/messages/batches/{batch.id}/results" if has_ended else None,
    }


def _line(line: Line) -> Body:
    if line.fate == "answered":
        return {"custom_id": line.id, "result": {"type": "succeeded", "message": line.response}}
    if line.fate in ("expired", "canceled"):
        return {"custom_id": line.id, "result": {"type": line.fate}}
    kind = "api_error" if line.fate == "errored" else "invalid_request_error"
    error = {"type": kind, "message": line.response.get("message", "simulated error")}
    return {"custom_id": line.id, "result": {"type": "errored", "error": {"type": "error", "error": error}}}
