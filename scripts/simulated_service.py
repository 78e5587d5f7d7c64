"""Run the simulated service LLM as a process of its own, until it is interrupted."""

from pathlib import Path

from llamaduo.config.services import Faults, Simulation
from llamaduo.program import run


def main(
    *,
    port: int = 0,
    address_file: Path | None = None,
    log: Path | None = None,
    latency_seconds: float = 0.0,
    faults: Faults = Faults(),  # noqa: B008
    seed: int = 0,
) -> None:
    """Serve the OpenAI, Anthropic and Gemini protocols on the loopback interface.

    Args:
        port: port to listen on; 0 takes a free one
        address_file: file to write the address (http://127.0.0.1:PORT) to once requests are served
        log: file to append one line to per served request
        latency_seconds: wait before each answer
        faults: shares of requests that go wrong on purpose
        seed: changes the answers and the faults
    """
    import asyncio
    import signal

    from llamaduo.files import write_text
    from llamaduo.simulated.server import serve

    def ready(address: str) -> None:
        print(address, flush=True)
        if address_file:
            write_text(address_file, address + "\n")

    async def until_stopped() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        simulation = Simulation(
            latency_seconds=latency_seconds, faults=faults, log=str(log) if log else None, seed=seed
        )
        await serve(simulation, port, ready, stop)

    asyncio.run(until_stopped())


if __name__ == "__main__":
    run(main, __doc__)
