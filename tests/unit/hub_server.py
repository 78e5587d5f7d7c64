"""A Hub on this machine: the small part of its HTTP interface that downloading needs, for the real client."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlparse

COMMIT = "c0ffee" + "0" * 34
TOKEN = "hf_a-token-for-the-tests"


@dataclass
class Hosted:
    """A repository: its files, whether it is gated, and sizes to be announced in place of the true ones."""

    files: dict[str, bytes]
    gated: bool = False
    commit: str = COMMIT
    announced: dict[str, int] = field(default_factory=dict)

    def listed(self) -> list[tuple[str, int, str]]:
        return [
            (name, self.announced.get(name, len(content)), hashlib.sha1(content).hexdigest())
            for name, content in self.files.items()
        ]


@dataclass
class Hub:
    """The address of a running server, what it hosts by `models/owner/name`, and the requests it got."""

    address: str
    hosted: dict[str, Hosted]
    requests: list[str] = field(default_factory=list)


@contextmanager
def hub(hosted: dict[str, Hosted]) -> Iterator[Hub]:
    """Serve repositories on a free loopback port."""
    state = Hub("", hosted)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(f"{self.command} {self.path}")
            answer(self, state)

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def answer(request: BaseHTTPRequestHandler, state: Hub) -> None:
    parts = unquote(urlparse(request.path).path).strip("/").split("/")
    if parts[0] == "api":
        kind, parts = parts[1], parts[2:]
    else:
        kind, parts = ("datasets", parts[1:]) if parts[0] == "datasets" else ("models", parts)
    name, rest = "/".join(parts[:2]), parts[2:]
    one = state.hosted.get(f"{kind}/{name}")
    if one is None:
        return send(request, 401, error="RepoNotFound")
    may_read = not one.gated or request.headers.get("Authorization") == f"Bearer {TOKEN}"
    if rest == ["auth-check"]:
        return send(request, 200, b"{}") if may_read else send(request, 403, error="GatedRepo")
    if rest and rest[0] in ("revision", "tree", "resolve") and rest[1] not in ("main", one.commit):
        return send(request, 404, error="RevisionNotFound")
    if rest and rest[0] == "tree":
        found = [{"type": "file", "path": path, "size": size, "oid": oid} for path, size, oid in one.listed()]
        return send(request, 200, json.dumps(found).encode())
    if rest and rest[0] == "resolve":
        if not may_read:
            return send(request, 403, error="GatedRepo")
        content = one.files.get("/".join(rest[2:]))
        if content is None:
            return send(request, 404, error="EntryNotFound")
        return send(
            request, 200, content, ETag=f'"{hashlib.sha1(content).hexdigest()}"', **{"X-Repo-Commit": one.commit}
        )
    siblings = [{"rfilename": path, "size": size, "blobId": oid} for path, size, oid in one.listed()]
    info = {"id": name, "sha": one.commit, "gated": "manual" if one.gated else False, "siblings": siblings}
    return send(request, 200, json.dumps(info).encode())


def send(request: BaseHTTPRequestHandler, status: int, content: bytes = b"{}", error: str = "", **headers: str) -> None:
    request.send_response(status)
    for header, value in {**headers, "Content-Length": str(len(content))}.items():
        request.send_header(header, value)
    if error:
        request.send_header("X-Error-Code", error)
        request.send_header("X-Error-Message", error)
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(content)
