"""A step in batches against a simulated service that counts what it answered, and what is found of it afterwards."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batch_step import CONTENTS, REPLICATES, STEP, as_it_is, in_batches, requests, wait_for

from llamaduo.config.services import ServiceSettings
from llamaduo.config.simulation import Simulation
from llamaduo.service.batches.records import Step
from llamaduo.service.client import ask_all
from llamaduo.service.journal import identity
from llamaduo.simulated.log import Served, count_served
from llamaduo.simulated.server import running

ANSWERS = CONTENTS * REPLICATES
VENDORS = ("openai", "anthropic", "gemini")


@contextmanager
def simulated(folder: Path, **settings: Any) -> Iterator[str]:
    with running(Simulation.model_validate({"log": str(folder / "served.jsonl"), **settings})) as address:
        yield address


def served(folder: Path) -> Served:
    return count_served(folder / "served.jsonl")


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def run_to_the_end(service: ServiceSettings, folder: Path) -> dict[str, str]:
    """Submit, wait and collect; the answers' texts by the journal's keys."""
    in_batches(service, folder).submit()
    wait_for(service, folder)
    in_batches(service, folder).collect("collecting")
    return {record["key"]: record["answer"]["text"] for record in records(folder)}


def asked_online(service: ServiceSettings, folder: Path) -> dict[str, str]:
    """The same questions asked one by one."""
    online = service.model_copy(update={"mode": "online", "samples_per_call": 1})
    outcomes = ask_all("grader", online, requests(), as_it_is, folder / "online.jsonl", "online")
    keys = [identity.key(online, request, 0) for request in requests()]
    return {key: outcome.answers[0].text for key, outcome in zip(keys, outcomes, strict=True)}


def step_of(folder: Path) -> Step:
    return Step(folder / "batches" / STEP)


def open_batches_at(address: str, provider: str) -> list[dict[str, Any]]:
    """The batches that the service knows, as it lists them."""
    path = {"openai": "/v1/batches", "anthropic": "/v1/messages/batches", "gemini": "/v1beta/batches"}[provider]
    headers = {"Authorization": "Bearer k", "x-api-key": "k", "x-goog-api-key": "k"}
    request = urllib.request.Request(f"{address}{path}?limit=1000&pageSize=1000", headers=headers)
    with urllib.request.urlopen(request) as response:
        page = json.load(response)
    return list(page.get("data") or page.get("operations") or [])


def in_a_process(phase: str, address: str, provider: str, folder: Path) -> subprocess.Popen[bytes]:
    """One phase of the step, in a process that can be killed."""
    program = Path(__file__).with_name("batch_step.py")
    scripts = str(Path(__file__).parents[2] / "scripts")
    return subprocess.Popen(
        [sys.executable, str(program), phase, address, provider, str(folder)],
        env={"PYTHONPATH": scripts, "PATH": ""},
        stderr=subprocess.DEVNULL,
    )
