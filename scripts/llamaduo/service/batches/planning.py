"""Which calls a step still needs, and how they are put together into calls of several samples and into batches."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llamaduo.config.services import ServiceSettings
from llamaduo.service.batches.interface import BatchProvider
from llamaduo.service.batches.records import Call
from llamaduo.service.interface import Answer, Request, Unacceptable
from llamaduo.service.journal import identity
from llamaduo.service.journal.journal import Journal
from llamaduo.service.journal.reading import read_records
from llamaduo.storage.canonical import digest

BYTES_PER_MEGABYTE = 1_000_000


def needed(
    service: ServiceSettings,
    requests: Sequence[Request],
    accept: Callable[[Answer], Any],
    journal: Journal,
    earlier: Sequence[Path] = (),
) -> list[dict[str, Any]]:
    """The journal's records of the calls that are still to be made, each once, in the order of the requests.

    Of a request whose answers had not the form asked for, the next attempt is needed, up to the service's `attempts`.
    """
    distinct = {identity.key(service, request, 0): request for request in requests}
    others = _answers_elsewhere(service, distinct.values(), journal, earlier)
    found = []
    for request in distinct.values():
        for attempt in range(service.attempts):
            record = identity.record(service, request, attempt)
            key = digest(record, identity.KEY_LENGTH)
            answer = journal.get(key) or others.get(key)
            if answer is None:
                found.append(record)
                break
            if answer.not_begun or _is_accepted(answer, accept):
                break
    return found


def grouped(records: Iterable[Mapping[str, Any]], samples: int) -> list[Call]:
    """Calls that ask for at most so many samples each: of equal content those whose replicates follow one another."""
    calls: list[Call] = []
    latest: dict[str, int] = {}
    for record in records:
        content = digest({**record, "replicate": None}, 64)
        place = latest.get(content)
        if place is not None:
            last = calls[place]
            if len(last.replicates) < samples and last.replicates[-1] + 1 == record["replicate"]:
                calls[place] = Call(last.record, (*last.replicates, record["replicate"]))
                continue
        latest[content] = len(calls)
        calls.append(Call(record, (record["replicate"],)))
    return calls


def portions(calls: Iterable[Call], service: ServiceSettings, provider: BatchProvider) -> Iterator[list[Call]]:
    """The calls in batches, each as large as the vendor and the settings allow."""
    most_requests = min(provider.most_requests, service.batch_requests or provider.most_requests)
    most_bytes = float(provider.most_bytes)
    if service.batch_megabytes is not None:
        most_bytes = min(most_bytes, service.batch_megabytes * BYTES_PER_MEGABYTE)
    portion: list[Call] = []
    size = 0
    for call in calls:
        length = len(line_of(call, service, provider))
        if portion and (len(portion) >= most_requests or size + length > most_bytes):
            yield portion
            portion, size = [], 0
        portion.append(call)
        size += length
    if portion:
        yield portion


def line_of(call: Call, service: ServiceSettings, provider: BatchProvider) -> bytes:
    """The line of the batch's file that makes a call."""
    line = provider.line(call.id, call.request, len(call.replicates))
    if service.is_simulated:
        # A batch has no headers per call: this stands for the one that a call of its own would have.
        line["replicate"] = f"{call.replicates[0]}.{call.record['attempt']}"
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _is_accepted(answer: Answer, accept: Callable[[Answer], Any]) -> bool:
    try:
        accept(answer)
    except Unacceptable:
        return False
    return True


def _answers_elsewhere(
    service: ServiceSettings, requests: Iterable[Request], journal: Journal, earlier: Sequence[Path]
) -> dict[str, Answer]:
    """What other journals hold of the answers."""
    if not earlier:
        return {}
    wanted = {identity.key(service, request, attempt) for request in requests for attempt in range(service.attempts)}
    wanted = {key for key in wanted if journal.get(key) is None}
    # The first journal counts; in each of them the last answer.
    records = (record for path in reversed(earlier) if wanted for record in read_records(path))
    return {record.key: record.answer for record in records if record.key in wanted}
