"""Prefetch: models and a coverage dataset from a Hub on this machine, through the Hub's real client."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hub_server import COMMIT, TOKEN, Hosted, Hub, hub
from huggingface_hub.errors import HfHubHTTPError
from tiny_models import build_tiny_model

from llamaduo.cli.errors import ServiceError
from llamaduo.config.load import load
from llamaduo.config.root import Config
from llamaduo.models.hub import Repository, explained
from llamaduo.workflow.prefetch import is_prefetched

SCRIPTS = Path(__file__).parents[2] / "scripts"
NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing listens there
PAIRS = [json.dumps({"prompt": f"p{n}", "response": f"r{n}"}).encode() + b"\n" for n in range(12)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = build_tiny_model("gemma", tmp_path_factory.mktemp("model") / "gemma")
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def served(files: dict[str, bytes]) -> Iterator[Hub]:
    extra = {"pytorch_model.bin": b"a pickle", "code.py": b"print()", "original/model.safetensors": b"twice"}
    pickled = {name: content for name, content in files.items() if not name.endswith(".safetensors")}
    hosted = {
        "models/some/open": Hosted({**files, **extra}),
        "models/some/gated": Hosted(files, gated=True),
        "models/some/pickled": Hosted({**pickled, "pytorch_model.bin": b"a pickle"}),
        "models/some/huge": Hosted(files, announced={"model.safetensors": 10**16}),
        "datasets/some/pairs": Hosted(
            {"train.jsonl": b"".join(PAIRS[:9]), "test.jsonl": b"".join(PAIRS[9:]), "README.md": b"# pairs\n"}
        ),
    }
    with hub(hosted) as running:
        yield running


def config(folder: Path, source: str = "some/pairs", revision: str | None = None, **models: dict[str, Any]) -> Path:
    values = {
        "coverage": {"source": source, "revision": revision},
        "tasks": {"chat": {"generators": ["writer"], "volumes": [0]}},
        "services": {"writer": {"provider": "openai", "model": "w", "base_url": "simulated"}},
        "models": models,
        "judges": ["writer"],
    }
    path = folder / "config.json"
    path.write_text(json.dumps(values))
    return path


def run(
    folder: Path, address: str, program: str, *options: object, **variables: str
) -> subprocess.CompletedProcess[str]:
    dropped = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    environment |= {"HF_HOME": str(folder / "hf"), "HF_ENDPOINT": address, "HF_HUB_DISABLE_XET": "1", **variables}
    command = [sys.executable, str(SCRIPTS / program), *map(str, options)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stderr
    return done


def prefetch(folder: Path, address: str, chosen: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(folder, address, "prefetch.py", "--config", chosen, "--record", folder / "record.json", **variables)


def test_what_was_prefetched_is_used_without_network(served: Hub, tmp_path: Path) -> None:
    chosen = config(
        tmp_path,
        revision=COMMIT,
        pinned={"path": "some/open", "revision": COMMIT},
        floating={"path": "some/open"},
        closed={"path": "some/gated", "revision": COMMIT},
    )

    done = prefetch(tmp_path, served.address, chosen, HUGGING_FACE_HUB_TOKEN=TOKEN)

    assert done.returncode == 0, done.stderr
    here = {file.name for file in (tmp_path / "hf").rglob("*")}
    assert "model.safetensors" in here and "train.jsonl" in here
    assert not here & {"pytorch_model.bin", "code.py", "original"}, "no pickle, no code, nothing twice"
    assert f"models.pinned.path: some/open is here: commit {COMMIT}" in done.stdout
    assert f"to pin it: models.floating.revision: {COMMIT}" in done.stdout
    assert done.stdout.count("to pin it") == 1
    assert TOKEN not in done.stdout + done.stderr
    recorded = json.loads((tmp_path / "record.json").read_text())
    assert {(one["repository"], one["commit"]) for one in recorded} == {
        ("some/open", COMMIT),
        ("some/gated", COMMIT),
        ("some/pairs", COMMIT),
    }

    before = len(served.requests)
    assert prefetch(tmp_path, served.address, chosen, HF_TOKEN=TOKEN).returncode == 0
    assert not [one for one in served.requests[before:] if "safetensors" in one], "nothing is downloaded again"

    # No network from here on: the preflight, which reads the dataset, and a step that loads the model.
    assert run(tmp_path, NOWHERE, "preflight.py", "--config", chosen, "--services").returncode == 0
    source = json.dumps({"source": "some/pairs", "revision": COMMIT})
    splits = ["--train", tmp_path / "train.parquet", "--test", tmp_path / "test.parquet"]
    read = run(tmp_path, NOWHERE, "coverage.py", "--settings", source, "--categories", '["*"]', *splits)
    assert read.returncode == 0, read.stderr
    step = ["--prompts", tmp_path / "test.parquet", "--model-name", "tiny", "--state", tmp_path / "state"]
    step += ["--settings", json.dumps({"samples": 1, "max_new_tokens": 2}), "--output", tmp_path / "responses.parquet"]
    step += ["--model", json.dumps({"path": "some/open"})]
    done = run(tmp_path, NOWHERE, "respond.py", *step, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr


def test_later_starts_use_the_cache_that_was_filled(served: Hub, tmp_path: Path) -> None:
    """In a new login shell HF_HOME is not set."""
    chosen = config(tmp_path, revision=COMMIT, pinned={"path": "some/open", "revision": COMMIT})
    record = tmp_path / "state/prefetched.json"
    done = run(tmp_path, served.address, "prefetch.py", "--config", chosen, "--record", record)
    assert done.returncode == 0, done.stderr
    assert {one["cache"] for one in json.loads(record.read_text())} == {str(tmp_path / "hf/hub")}

    command: list[str | Path] = [sys.executable, "-m", "snakemake", "coverage"]
    command += ["--snakefile", SCRIPTS.parent / "Snakefile"]
    command += ["--directory", tmp_path, "--configfile", chosen, "--cores", "1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment |= {"HF_ENDPOINT": NOWHERE, "HOME": str(tmp_path / "home"), "PYTHONPATH": str(SCRIPTS)}
    started = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)

    assert started.returncode == 0, started.stderr
    assert (tmp_path / "results/coverage/chat/train.parquet").is_file()

    # What is fetched later comes there too, and nothing a second time.
    chosen = config(tmp_path, revision=COMMIT, other={"path": "some/open"})
    command[3] = "prefetch"
    before = len(served.requests)
    environment |= {"HF_ENDPOINT": served.address, "HF_HUB_DISABLE_XET": "1"}
    fetched = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert fetched.returncode == 0, fetched.stderr
    assert "models.other.path: some/open is here" in fetched.stdout
    assert "V and C" not in fetched.stdout, "no verdicts"
    assert {one["cache"] for one in json.loads(record.read_text())} == {str(tmp_path / "hf/hub")}
    assert not [one for one in served.requests[before:] if "safetensors" in one]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            {"path": "some/gated"},
            r"a gated model, and no token is set: accept its terms on its page on the Hub, and set",
        ),
        ({"path": "some/absent"}, "no such folder here, and no such model on the Hub; for a private one set HF_TOKEN"),
        ({"path": "some/open", "revision": "v9"}, "some/open: no revision 'v9' on the Hub"),
        ({"path": "some/pickled"}, "no weights in safetensors (found: pytorch_model.bin)"),
        ({"path": "some/huge"}, "GB are free: make room, or set HF_HOME"),
    ],
)
def test_what_is_in_the_way_is_said_before_a_download(
    model: dict[str, Any], said: str, served: Hub, tmp_path: Path
) -> None:
    chosen = config(tmp_path, base={"path": "some/open"}, wanted=model)
    done = prefetch(tmp_path, served.address, chosen)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not [one for one in served.requests if "/resolve/" in one]
    assert not (tmp_path / "record.json").exists()


def test_a_token_without_access_is_told_from_none(served: Hub, tmp_path: Path) -> None:
    chosen = config(tmp_path, wanted={"path": "some/gated"})
    done = prefetch(tmp_path, served.address, chosen, HF_TOKEN="hf_of-someone-else")
    assert "models.wanted.path: some/gated: a gated model, and the token has no access to it" in done.stderr
    assert "hf_of-someone-else" not in done.stderr


def test_a_hub_that_is_down_is_an_outage_and_no_mistake_of_the_user() -> None:
    answer = httpx2.Response(503, request=httpx2.Request("GET", "https://hub.example/api/models/some/open"))
    with (
        pytest.raises(ServiceError, match=r"some/open: the Hub answered 503 .* try again later"),
        explained(Repository("some/open")),
    ):
        raise HfHubHTTPError("503 Service Unavailable", response=answer)


@pytest.mark.parametrize("variables", [{}, {"HF_HUB_OFFLINE": "1"}])
def test_a_misspelt_folder_is_told_when_the_hub_is_out_of_reach(variables: dict[str, str], tmp_path: Path) -> None:
    chosen = config(tmp_path, source=str(tmp_path), wanted={"path": "gema"})
    done = run(tmp_path, NOWHERE, "preflight.py", "--config", chosen, "--services", "--coverage=false", **variables)
    assert done.returncode == 1
    assert "models.wanted.path: gema: no such folder here" in done.stderr
    assert "if a folder was meant, check the spelling" in done.stderr
    reason = "HF_HUB_OFFLINE is set" if variables else "it cannot be reached ("
    assert reason in done.stderr
    assert "run `snakemake prefetch`" in done.stderr


def test_folders_need_no_hub(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    done = prefetch(tmp_path, NOWHERE, config(tmp_path, source=str(tmp_path), own={"path": str(tmp_path / "model")}))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Nothing to fetch" in done.stdout


def test_jobs_need_no_network_once_all_that_the_config_names_is_recorded(tmp_path: Path) -> None:
    def loaded(**models: dict[str, Any]) -> Config:
        return load(config(tmp_path, str(tmp_path), None, **models))

    recorded: list[dict[str, object]] = [
        {"repository": "some/open", "kind": "model", "revision": None, "commit": COMMIT, "bytes": 1}
    ]
    assert is_prefetched(loaded(a={"path": "some/open"}, b={"path": str(tmp_path)}), recorded)
    assert not is_prefetched(loaded(a={"path": "some/open"}, b={"path": "some/gated"}), recorded)
    assert not is_prefetched(loaded(a={"path": "some/open", "revision": COMMIT}), recorded)
    assert not is_prefetched(loaded(b={"path": str(tmp_path)}), []), "a config of folders asks nothing of the Hub"
