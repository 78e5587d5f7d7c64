"""The way to a vendor through the site's HTTP proxy, and to a simulated service past it: real SDKs, a real proxy."""

import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from llamaduo.cli.errors import InputError, ServiceError
from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.config.simulation import Simulation
from llamaduo.models.messages import Message
from llamaduo.service.client import ask_all
from llamaduo.service.interface import Request
from llamaduo.simulated.server import running

KEY = "a-key-for-the-vendor-only"
HOSTS = {
    "openai": "api.openai.com:443",
    "anthropic": "api.anthropic.com:443",
    "gemini": "generativelanguage.googleapis.com:443",
}
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class Proxy(ThreadingHTTPServer):
    """Forwards plain requests to one server, whatever host they name, and lets no tunnel through."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Forwarder)
        self.asked: list[str] = []
        self.seen: list[str] = []
        self.behind = ""

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Forwarder(BaseHTTPRequestHandler):
    server: Proxy

    def do_CONNECT(self) -> None:
        self._note()
        self.send_error(403, "not on the list")

    def do_POST(self) -> None:
        self._note()
        body = self.rfile.read(int(self.headers["content-length"]))
        connection = http.client.HTTPConnection(self.server.behind)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "proxy-connection"}
        connection.request("POST", urlsplit(self.path).path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        self.send_header("content-type", answer.headers["content-type"])
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _note(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.seen.append(str(self.headers))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with Proxy() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("HTTP_PROXY", server.address)
        monkeypatch.setenv("HTTPS_PROXY", server.address)
        monkeypatch.setenv("SERVICE_LLM_API_KEY", KEY)
        yield server
        server.shutdown()
        thread.join()


def ask(service: ServiceSettings, folder: Path) -> list[str | None]:
    request = Request((Message(role="user", content="Which team takes this?"),), None, Generation())
    outcomes = ask_all("gpt", service, [request], lambda answer: answer.text, folder / "journal.jsonl", "asking")
    return [outcome.value for outcome in outcomes]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_call_goes_through_the_proxy_to_a_host_that_only_it_can_reach(
    proxy: Proxy, tmp_path: Path, provider: str
) -> None:
    with running(Simulation()) as address:
        proxy.behind = urlsplit(address).netloc
        service = ServiceSettings(provider=provider, model="some-model", base_url="http://vendor.invalid/v1")
        if provider == "anthropic":
            service = service.model_copy(update={"base_url": "http://vendor.invalid"})

        assert ask(service, tmp_path)[0]

    assert len(proxy.asked) == 1
    assert proxy.asked[0].startswith("POST http://vendor.invalid/v1/")


@pytest.mark.parametrize("provider", HOSTS)
def test_the_vendors_own_address_is_asked_for_by_a_tunnel_that_never_sees_the_key(
    proxy: Proxy, tmp_path: Path, provider: str
) -> None:
    service = ServiceSettings(provider=provider, model="some-model", retries=0)

    with pytest.raises(ServiceError, match=r"the proxy did not let the request through .*HTTPS_PROXY"):
        ask(service, tmp_path)

    assert set(proxy.asked) == {f"CONNECT {HOSTS[provider]}"}
    assert not any(KEY in headers for headers in proxy.seen)


@pytest.mark.parametrize("provider", HOSTS)
def test_a_simulated_service_is_reached_past_the_proxy(proxy: Proxy, tmp_path: Path, provider: str) -> None:
    service = ServiceSettings(provider=provider, model="some-model", base_url="simulated")

    assert ask(service, tmp_path)[0]

    assert proxy.asked == []


@pytest.mark.parametrize("proxy", ["ftp://proxy:1", "socks5://user:secret@proxy:1"])
def test_a_proxy_that_cannot_be_used_is_said_without_its_password(
    proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    request = Request((Message(role="user", content="q"),), None, Generation())

    with pytest.raises(InputError, match="the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names") as raised:
        ask_all(
            "s",
            ServiceSettings(provider="openai", model="m"),
            [request],
            lambda answer: answer.text,
            tmp_path / "journal.jsonl",
            "asking",
        )

    assert "secret" not in str(raised.value)
