"""The simulated service as a server: the same answers whenever and wherever it runs, its faults, its log."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import aiohttp
import pytest

from llamaduo.config.simulation import Faults, Simulation
from llamaduo.simulated.log import count_served, read_log
from llamaduo.simulated.server import running

PROGRAM = Path(__file__).parents[2] / "scripts" / "simulated_service.py"


async def ask(
    session: aiohttp.ClientSession, address: str, content: str, replicate: str = "0.0"
) -> tuple[int, str | None]:
    """(status, text); status 0 for a connection that was dropped."""
    body = {"model": "m", "messages": [{"role": "user", "content": content}]}
    url = f"{address}/v1/chat/completions"
    try:
        async with session.post(
            url, json=body, headers={"x-llamaduo-replicate": replicate, "Authorization": "Bearer k"}
        ) as response:
            answer = await response.json()
    except aiohttp.ClientError:
        return 0, None
    return response.status, answer["choices"][0]["message"]["content"] if response.status == 200 else None


async def ask_until_answered(address: str, contents: list[str], most_tries: int = 7) -> dict[str, str | None]:
    async def one(session: aiohttp.ClientSession, content: str) -> tuple[str, str | None]:
        for _ in range(most_tries):
            status, text = await ask(session, address, content)
            if status == 200:
                return content, text
        raise AssertionError(content)

    async with aiohttp.ClientSession() as session:
        return dict(await asyncio.gather(*(one(session, content) for content in contents)))


async def test_every_request_is_answered_in_the_end_and_equal_with_faults_and_without(tmp_path: Path) -> None:
    contents = [f"Prompt number {number}." for number in range(100)]
    log = tmp_path / "log.jsonl"
    with running(Simulation()) as address:
        undisturbed = await ask_until_answered(address, contents)
    faults = Faults(rate_limit=0.2, server_error=0.2, dropped=0.2)
    with running(Simulation(faults=faults, log=str(log))) as address:
        disturbed = await ask_until_answered(address, contents)
    assert disturbed == undisturbed
    served = count_served(log)
    assert (served.answered, served.distinct, served.repeated) == (100, 100, 0)
    assert served.by_role == {"answer": 100}
    assert {line["status"] for line in read_log(log)} == {200, 429, 500, 0}
    assert 60 < served.faults < 250


async def test_what_is_asked_again_counts_as_repeated_and_another_replicate_does_not(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    with running(Simulation(log=str(log))) as address:
        async with aiohttp.ClientSession() as session:
            for replicate in ("0.0", "1.0", "1.1", "0.0"):
                await ask(session, address, "Hello.", replicate)
    assert count_served(log).repeated == 1


async def test_the_seed_changes_the_faults() -> None:
    async def refused(seed: int) -> list[bool]:
        with running(Simulation(faults=Faults(refusal=0.5), seed=seed)) as address:
            async with aiohttp.ClientSession() as session:
                return [(await ask(session, address, f"Prompt {number}."))[1] is None for number in range(40)]

    first, second = await refused(0), await refused(1)
    assert first != second
    assert 8 < sum(first) < 32
    assert first == await refused(0)


async def test_latency_does_not_add_up_over_concurrent_requests() -> None:
    with running(Simulation(latency_seconds=0.3)) as address:
        start = asyncio.get_running_loop().time()
        await ask_until_answered(address, [str(number) for number in range(20)])
        elapsed = asyncio.get_running_loop().time() - start
    assert 0.3 <= elapsed < 3


def test_two_services_run_side_by_side_in_one_process() -> None:
    with running(Simulation()) as one, running(Simulation()) as other:
        assert one != other


@pytest.fixture
def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROGRAM.parent)}


def test_as_a_process_of_its_own_it_says_where_it_is_and_its_log_survives_a_kill(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    address_file, log = tmp_path / "address", tmp_path / "log.jsonl"
    command = [sys.executable, str(PROGRAM), f"--address-file={address_file}", f"--log={log}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        body = {"model": "m", "messages": [{"role": "user", "content": "Hello."}]}
        request = urllib.request.Request(
            f"{address}/v1/chat/completions", json.dumps(body).encode(), {"Authorization": "Bearer k"}
        )
        with urllib.request.urlopen(request) as response:
            assert response.status == 200
        assert address_file.read_text() == f"{address}\n"
        process.send_signal(signal.SIGKILL)
    assert count_served(log).answered == 1


def test_it_stops_when_interrupted(tmp_path: Path, environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, str(PROGRAM)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_a_rate_over_1_is_an_error_without_a_traceback(environment: dict[str, str]) -> None:
    command = [sys.executable, str(PROGRAM), '--faults={"refusal": 2}']
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode != 0
    assert "refusal" in result.stderr
    assert "Traceback" not in result.stderr
