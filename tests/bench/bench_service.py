"""The service layer against its limit, against a bare loop over the OpenAI SDK, and against its own memory.

1. A server that allows 600 requests in any minute: how much of that is used over the run, and whether it is ever
   exceeded; at the same time, on another such server, the schedule of the original system's evaluation.
2. A server without a limit that takes 20 ms: calls per second, with journal, limits and budget on, against a bare
   asyncio loop over the OpenAI SDK with its aiohttp transport, 64 in flight each. Both take turns in this process, on
   one core; the server, bare asyncio with a fixed reply, has another.
3. Peak memory of a process that makes 2,000 calls, and of one that makes 20,000.

Prints one JSON line. `limit_used` and `original_limit_used` are shares of 1; `limit_exceeded` is by how many requests
the fullest minute was above the limit, by the server's clock, and `refused` how many were answered with 429.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

LIMIT = 600
"""Requests per minute."""
IN_FLIGHT = 64
LATENCY_SECONDS = 0.02
MINUTE = 60.0
PROMPT = "The otter waits for noon beside the harbour wall. " * 72
"""About 900 tokens, as a judge's prompt."""
SCHEMA = {
    "type": "object",
    "properties": {
        name: {
            "type": "object",
            "properties": {"reason": {"type": "string"}, "score": {"type": "number"}},
            "required": ["reason", "score"],
            "additionalProperties": False,
        }
        for name in ("similarity", "precision")
    },
    "required": ["similarity", "precision"],
    "additionalProperties": False,
}
ORIGINAL_WORKERS = 4
ORIGINAL_REPEATS = 10
ORIGINAL_SECONDS_PER_JOB = 20


@contextmanager
def server(cores: set[int], limit: int | None = None) -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, str(Path(__file__).with_name("reply_server.py")), f"--latency={LATENCY_SECONDS}"]
    command += [f"--limit={limit}"] if limit else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            os.sched_setaffinity(process.pid, cores)
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def served(address: str) -> dict[str, Any]:
    with urllib.request.urlopen(address) as response:
        return json.load(response)


def ours(address: str, calls: int, **settings: object) -> float:
    """Make so many calls through the service layer, and return the seconds that they took."""
    from llamaduo.config.budget import BudgetSettings
    from llamaduo.config.services import Generation, Price, ServiceSettings
    from llamaduo.models.messages import Message
    from llamaduo.service.budget.ledger import opened
    from llamaduo.service.client import ask_each
    from llamaduo.service.interface import Request

    price = Price(prompt=2.5, completion=10.0)
    described = {"provider": "openai", "model": "m", "simulated": True, "base_url": address, "concurrency": IN_FLIGHT}
    service = ServiceSettings.model_validate(described | {"price": price} | settings)
    generation = Generation(max_tokens=1024)
    requests = (
        Request((Message(role="user", content=f"{number} {PROMPT}"),), SCHEMA, generation) for number in range(calls)
    )
    scores = 0

    def settled(place: int, outcome: Any) -> None:
        nonlocal scores
        assert outcome.value is not None, f"call {place}: {outcome.problem}"
        scores += 1

    with tempfile.TemporaryDirectory() as folder:
        journals = Path(folder, "journal")
        journal = journals / "bench.jsonl"
        budget = BudgetSettings(
            dollars=1e6, folder=Path(folder, "ledger"), journals=journals, prices={"openai/m": price}
        )
        started = time.perf_counter()
        with opened(budget, journal, service) as ledger:
            ask_each("s", service, requests, lambda a: json.loads(a.text), journal, "bench", settled, budget=ledger)
        seconds = time.perf_counter() - started
        with journal.open("rb") as lines:
            assert scores == sum(1 for _ in lines) == calls
    return seconds


async def bare_loop(address: str, calls: int) -> float:
    """Make the same calls in a bare loop, and return the seconds that they took."""
    import openai

    numbers = iter(range(calls))
    form: Any = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}

    async def work() -> None:
        for number in numbers:
            completion = await client.chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": f"{number} {PROMPT}"}],
                max_completion_tokens=1024,
                temperature=1.0,
                response_format=form,
            )
            json.loads(completion.choices[0].message.content or "")

    started = time.perf_counter()
    async with openai.AsyncOpenAI(
        api_key="none", base_url=f"{address}/v1", max_retries=0, http_client=openai.DefaultAioHttpClient()
    ) as client:
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - started


async def original_schedule(address: str, seconds: float) -> None:
    """Call as the original's evaluation does, for so long.

    It takes so many responses at a time as it has workers, and grades each of them, then all again, repeatedly. Of
    these few it sends a batch together, waits for all of it, and sleeps. Its batches and sleeps follow from the limit
    and from an assumed time per job.
    """
    import openai

    batch = max(1, int(LIMIT / MINUTE * ORIGINAL_SECONDS_PER_JOB / ORIGINAL_WORKERS))
    end = time.monotonic() + seconds
    async with openai.AsyncOpenAI(api_key="none", base_url=f"{address}/v1", max_retries=0) as client:
        while time.monotonic() < end:
            for _ in range(ORIGINAL_REPEATS):
                waiting = ORIGINAL_WORKERS
                while waiting and time.monotonic() < end:
                    together = min(batch, waiting)
                    waiting -= together
                    messages: Any = [{"role": "user", "content": PROMPT}]
                    calls = (client.chat.completions.create(model="m", messages=messages) for _ in range(together))
                    await asyncio.gather(*calls)
                    await asyncio.sleep(MINUTE / batch)


def fullest_minute(arrivals: list[float]) -> int:
    """The most arrivals within any minute."""
    most = start = 0
    for end, arrival in enumerate(arrivals):
        while arrivals[start] <= arrival - MINUTE:
            start += 1
        most = max(most, end - start + 1)
    return most


def against_limit(calls: int, cores: set[int]) -> dict[str, float | int]:
    seconds = calls / LIMIT * MINUTE
    with server(cores, LIMIT) as address, server(cores, LIMIT) as other:
        original = threading.Thread(target=lambda: asyncio.run(original_schedule(other, seconds)))
        original.start()
        taken = ours(address, calls, requests_per_minute=LIMIT)
        told = served(address)
        original.join()
        told_original = served(other)
    return {
        "limit_used": round(len(told["arrivals"]) / (taken * LIMIT / MINUTE), 4),
        "limit_exceeded": max(0, fullest_minute(told["arrivals"]) - LIMIT),
        "refused": told["refused"],
        "original_limit_used": round(len(told_original["arrivals"]) / (seconds * LIMIT / MINUTE), 4),
    }


def against_bare_loop(calls: int, rounds: int, cores: set[int]) -> dict[str, float]:
    high = {"requests_per_minute": 1e7, "tokens_per_minute": 1e11}
    with server(cores) as address:
        ours(address, calls // 10, **high)
        asyncio.run(bare_loop(address, calls // 10))
        pairs = [(ours(address, calls, **high), asyncio.run(bare_loop(address, calls))) for _ in range(rounds)]
    return {
        "throughput_vs_bare_loop": round(statistics.median(bare / own for own, bare in pairs), 3),
        "calls_per_second": round(calls / statistics.median(own for own, _ in pairs), 1),
        "calls_per_second_bare_loop": round(calls / statistics.median(bare for _, bare in pairs), 1),
    }


def peak_megabytes(calls: int, cores: set[int]) -> float:
    """The most memory that a process had in use which made so many calls."""
    with server(cores) as address:
        command = [sys.executable, __file__, f"--measure-memory-of={calls}", f"--address={address}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return round(float(done.stdout), 1)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--limit-calls", type=int, default=1500, help="calls against the limit of 600 per minute")
    options.add_argument("--calls", type=int, default=2000, help="calls of each turn without a limit")
    options.add_argument("--rounds", type=int, default=5, help="turns of each without a limit; the median counts")
    options.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    options.add_argument("--measure-memory-of", type=int, help=argparse.SUPPRESS)
    options.add_argument("--address", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.measure_memory_of:
        ours(given.address, given.measure_memory_of)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    if given.quick:
        given.limit_calls, given.calls, given.rounds = 100, 300, 3
    first, *others = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {first})
    cores = {others[0]} if others else {first}
    few, many = (200, 2000) if given.quick else (2000, 20000)
    figures = {
        "benchmark": "service",
        "baseline": "asyncio loop over AsyncOpenAI with its aiohttp transport",
        # First, so that what is imported and set up once is not counted against the limit.
        **against_bare_loop(given.calls, given.rounds, cores),
        **against_limit(given.limit_calls, cores),
        "peak_rss_mb_2k": peak_megabytes(few, cores),
        "peak_rss_mb_20k": peak_megabytes(many, cores),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
