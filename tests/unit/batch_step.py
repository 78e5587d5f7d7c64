"""One phase of a step in batches, as a process of its own that a test can kill: PHASE ADDRESS PROVIDER FOLDER."""

import sys
from pathlib import Path

from llamaduo.config.services import Generation, ServiceSettings
from llamaduo.models.messages import Message
from llamaduo.service.batches.asking import InBatches, wait
from llamaduo.service.interface import Answer, Request

STEP = "judging/subject/grader"
CONTENTS, REPLICATES = 4, 3
SCHEMA = {"type": "object", "properties": {"reason": {"type": "string"}, "grade": {"type": "integer"}}}


def settings(address: str, provider: str, **others: object) -> ServiceSettings:
    fixed = {"mode": "batch", "batch_poll_seconds": 0.1, "timeout_seconds": 20, "price": {"prompt": 1, "completion": 2}}
    return ServiceSettings.model_validate(
        {"provider": provider, "model": "m", "base_url": address, "simulated": True, **fixed, **others}
    )


def requests(contents: int = CONTENTS, replicates: int = REPLICATES) -> list[Request]:
    return [
        Request(
            (Message(role="system", content="Be brief."), Message(role="user", content=f"What is number {number}?")),
            SCHEMA,
            Generation(max_tokens=50),
            replicate,
        )
        for number in range(contents)
        for replicate in range(replicates)
    ]


def as_it_is(answer: Answer) -> Answer:
    return answer


def in_batches(service: ServiceSettings, folder: Path, asked: list[Request] | None = None) -> InBatches:
    return InBatches(
        "grader",
        service,
        requests() if asked is None else asked,
        as_it_is,
        folder / "journal.jsonl",
        state=folder / "batches",
        step=STEP,
    )


def wait_for(service: ServiceSettings, folder: Path) -> None:
    wait("grader", service, folder / "batches", folder / "batches" / STEP, "batches")


if __name__ == "__main__":
    phase, address, provider, name = sys.argv[1:]
    service, folder = settings(address, provider), Path(name)
    if phase == "submit":
        in_batches(service, folder).submit()
    elif phase == "wait":
        wait_for(service, folder)
    else:
        in_batches(service, folder).collect("collecting")
