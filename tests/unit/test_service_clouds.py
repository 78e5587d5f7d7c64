"""Services in Google's and Amazon's clouds: what is missing is told before anything starts, and tokens are fetched."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from llamaduo.cli.errors import InputError
from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.config.simulation import Simulation
from llamaduo.models.messages import Message
from llamaduo.service.interface import Rejected, Request, Transient
from llamaduo.service.providers.keys import missing_key
from llamaduo.service.providers.registry import open_provider
from llamaduo.simulated.server import running

REQUEST = Request((Message(role="user", content="Hello?"),), None, Generation())
VERTEX = ("anthropic-vertex", "gemini-vertex")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name in (
        *(
            "GCP_PROJECT_ID",
            "GCP_LOCATION",
            "GCP_ACCESS_TOKEN",
            "GOOGLE_CLOUD_PROJECT",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
        *("AWS_LOCATION", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"),
        *("AWS_SECRET_ACCESS_KEY", "AWS_BEARER_TOKEN_BEDROCK"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "none"))
    # A key that is meant for other services is no token.
    monkeypatch.setenv("SERVICE_LLM_API_KEY", "k")
    return monkeypatch


def service(provider: str, **settings: object) -> ServiceSettings:
    return ServiceSettings.model_validate({"provider": provider, "model": "m"} | settings)


@pytest.mark.parametrize("provider", VERTEX)
def test_vertex_needs_a_location_a_project_and_credentials(provider: str) -> None:
    missing = missing_key(service(provider))

    assert missing is not None
    for words in ("GCP_LOCATION", "GCP_PROJECT_ID", "gcloud auth application-default login", "GCP_ACCESS_TOKEN"):
        assert words in missing
    assert "\n" not in missing


def test_bedrock_needs_a_region_and_credentials() -> None:
    missing = missing_key(service("anthropic-bedrock"))

    assert missing is not None
    for words in ("AWS_LOCATION", "AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        assert words in missing


@pytest.mark.parametrize("provider", [*VERTEX, "anthropic-bedrock"])
def test_the_message_names_the_service(provider: str) -> None:
    with pytest.raises(InputError, match="service writer: no location"):
        open_provider("writer", service(provider), None)


def test_settings_and_variables_are_enough(nothing_set: pytest.MonkeyPatch) -> None:
    nothing_set.setenv("GCP_ACCESS_TOKEN", "t")
    assert missing_key(service("gemini-vertex", project="p", location="l")) is None
    assert "GCP_PROJECT_ID" in str(missing_key(service("gemini-vertex", location="l")))

    nothing_set.setenv("GCP_PROJECT_ID", "p")
    nothing_set.setenv("GCP_LOCATION", "l")
    assert missing_key(service("anthropic-vertex")) is None

    nothing_set.setenv("AWS_LOCATION", "eu-central-1")
    nothing_set.setenv("AWS_ACCESS_KEY_ID", "i")
    nothing_set.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert missing_key(service("anthropic-bedrock")) is None


@pytest.mark.parametrize("provider", [*VERTEX, "anthropic-bedrock"])
def test_a_simulated_service_needs_none_of_it(provider: str) -> None:
    assert missing_key(service(provider, base_url="simulated")) is None


@contextmanager
def token_server(status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """Google's address for tokens: the address, and one entry per token that was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            answer = {"access_token": "fetched-token", "expires_in": 3600, "token_type": "Bearer"}
            if status != 200:
                answer = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/token", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*form).decode()


def key_file(folder: Path, token_address: str, private_key: str) -> Path:
    path = folder / "key.json"
    content = {
        "type": "service_account",
        "project_id": "project-of-the-key",
        "client_email": "robot@project-of-the-key.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": private_key,
        "token_uri": token_address,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def ask_at_once(settings: ServiceSettings, times: int) -> list[str]:
    async def several() -> list[str]:
        opened = open_provider("s", settings, settings.base_url)
        try:
            answers = await asyncio.gather(
                *(opened.ask(REQUEST, {"x-llamaduo-replicate": f"{n}.0"}) for n in range(times))
            )
        finally:
            await opened.close()
        return [answer[0].text for answer in answers]

    return asyncio.run(several())


def at(address: str, provider: str) -> ServiceSettings:
    base_url = {"anthropic-vertex": f"{address}/v1", "gemini-vertex": address}[provider]
    return service(provider, base_url=base_url, location="europe-west1")


@pytest.mark.parametrize("provider", VERTEX)
def test_requests_at_the_same_time_share_one_token_and_the_credentials_name_the_project(
    provider: str, tmp_path: Path, private_key: str, nothing_set: pytest.MonkeyPatch
) -> None:
    with token_server() as (token_address, asked), running(Simulation(key="fetched-token")) as address:
        nothing_set.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file(tmp_path, token_address, private_key)))

        assert len(ask_at_once(at(address, provider), 8)) == 8

    assert len(asked) == 1


@pytest.mark.parametrize("provider", VERTEX)
@pytest.mark.parametrize(("status", "kind"), [(400, Rejected), (503, Transient)])
def test_credentials_that_google_refuses_are_told_apart_from_an_outage(
    provider: str, status: int, kind: type[Exception], tmp_path: Path, private_key: str, nothing_set: pytest.MonkeyPatch
) -> None:
    with token_server(status) as (token_address, _), running(Simulation()) as address:
        nothing_set.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file(tmp_path, token_address, private_key)))
        with pytest.raises(kind, match=r"Google does not accept the credentials|no access token"):
            ask_at_once(at(address, provider), 1)
