"""Run the simulated service LLM as a process of its own, until it is interrupted."""

from pathlib import Path
from typing import Literal

from llamaduo.cli.program import run
from llamaduo.config.simulation import BatchSimulation, Faults, Simulation


def main(
    *,
    port: int = 0,
    address_file: Path | None = None,
    log: Path | None = None,
    latency_seconds: float = 0.0,
    faults: Faults = Faults(),  # noqa: B008
    batches: BatchSimulation = BatchSimulation(),  # noqa: B008
    seed: int = 0,
    requests_per_minute: float | None = None,
    tokens_per_minute: float | None = None,
    models: list[str] | None = None,
    quota: int | None = None,
    reply: Literal["rule", "fixed"] = "rule",
) -> None:
    """Serve the OpenAI, Anthropic and Gemini protocols on the loopback interface.

    Args:
        port: port to listen on; 0 takes a free one
        address_file: file to write the address (http://127.0.0.1:PORT) to once requests are served
        log: file to append one line to per served request
        latency_seconds: wait before each answer
        faults: shares of requests that go wrong on purpose
        batches: how long batches take, and what goes wrong in them on purpose
        seed: changes the answers and the faults
        requests_per_minute: most requests within any minute; those beyond get status 429
        tokens_per_minute: most tokens within any minute; requests beyond get status 429
        models: the models that it knows; all without
        quota: how many requests it answers before the account has no credit left
        reply: rule, or fixed for the same answer to everything
    """
    import asyncio
    import signal

    from llamaduo.simulated.server import serve
    from llamaduo.storage.files import write_text

    def ready(address: str) -> None:
        print(address, flush=True)
        if address_file:
            write_text(address_file, address + "\n")

    async def until_stopped() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        simulation = Simulation(
            latency_seconds=latency_seconds,
            faults=faults,
            batches=batches,
            log=str(log) if log else None,
            seed=seed,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
            models=models,
            quota=quota,
            reply=reply,
        )
        await serve(simulation, port, ready, stop)

    asyncio.run(until_stopped())


if __name__ == "__main__":
    run(main, __doc__)
