"""Which requests are settled by what was recorded, and how the others are put into calls."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from llamaduo.config.services import ServiceSettings
from llamaduo.service.interface import Answer, Outcome, Request, Unacceptable
from llamaduo.service.journal.identity import Spelling
from llamaduo.service.journal.journal import Entry, Index, Journal

T = TypeVar("T")

REPLICATE_HEADER = "x-llamaduo-replicate"
LARGEST_FAMILY = 256
"""So many requests of equal content are looked at together, where more follow one another."""


@dataclass
class Open:
    """A request that is not settled yet.

    `places`: where among all it was asked for. `key` is its own, `next_key` and `next_record` are those of its next
    asking. `answers`: what it was answered so far.
    """

    request: Request
    places: list[int]
    key: str
    next_key: str
    next_record: str
    answers: list[Answer] = field(default_factory=list)


@dataclass
class Group:
    """What one call asks: requests of equal content and attempt, whose replicates follow one another.

    `is_repeated`: whether other calls ask the same content. `then`: those of them that wait for this one's answer.
    """

    members: list[Open]
    is_repeated: bool = False
    then: list["Group"] = field(default_factory=list)


class Call(Protocol):
    """Asks for so many samples of the answer to a request, and returns those that came, at least one."""

    async def __call__(self, request: Request, headers: Mapping[str, str], samples: int) -> list[Answer]: ...


class Asking(Generic[T]):
    """One run over requests, each of which is settled once, as soon as it can be.

    `settled` is told the place of a request among all, its outcome, and whether it was recorded before. In memory are
    the requests in flight, and where the journal has its answers, not the answers.
    """

    def __init__(
        self,
        service: ServiceSettings,
        accept: Callable[[Answer], T],
        journal: Journal,
        earlier: Callable[[], Sequence[Index]],
        settled: Callable[[int, Outcome[T], bool], None],
    ) -> None:
        self._service, self._accept, self._journal = service, accept, journal
        self._open_earlier, self._settled = earlier, settled
        self._earlier: Sequence[Index] | None = None
        self._spelling = Spelling(service)
        self._open: dict[str, Open] = {}
        self._ready: deque[Group] = deque()
        self._in_calls = 0
        self._changed = asyncio.Event()
        self._is_stopped = False

    def stop(self) -> None:
        """Let no further call begin."""
        self._is_stopped = True
        self._changed.set()

    async def work(self, families: Iterator[list[tuple[int, Request]]], call: Call) -> None:
        """Make one call after another, until every request of the `families` is settled or all was stopped.

        Several of these run at once, on the same iterator.
        """
        while not self._is_stopped:
            if self._ready:
                await self._ask(self._ready.popleft(), call)
            elif (family := next(families, None)) is not None:
                self._ready.extend(self._grouped(self._unsettled(family)))
                # A long journal must not keep the calls in flight waiting.
                await asyncio.sleep(0)
            elif self._in_calls:
                # What they are answered may have to be asked again.
                self._changed.clear()
                await self._changed.wait()
            else:
                self._changed.set()
                return

    async def _ask(self, group: Group, call: Call) -> None:
        self._in_calls += 1
        try:
            members = group.members
            first, attempt = members[0].request, len(members[0].answers)
            headers = {REPLICATE_HEADER: f"{first.replicate}.{attempt}"} if self._service.is_simulated else {}
            sent = replace(first, repeated=True) if group.is_repeated else first
            answers = await call(sent, headers, len(members))
            if len(answers) == 1 and answers[0].not_begun:
                answers = _for_all(answers[0], len(members))
            answered = list(zip(members, answers, strict=False))
            await self._journal.append_all([Entry(one.next_key, one.next_record, answer) for one, answer in answered])
            unsettled = members[len(answered) :]
            for one, answer in answered:
                if not self._take(one, answer) and not self._recall(one):
                    unsettled.append(one)
            again = self._grouped(sorted(unsettled, key=lambda one: (len(one.answers), one.request.replicate)))
            self._ready.extendleft(reversed([*again, *group.then]))
        finally:
            self._in_calls -= 1
            self._changed.set()

    def _unsettled(self, family: Iterable[tuple[int, Request]]) -> list[Open]:
        """Settle what was recorded, and return the others that are not in calls already."""
        unsettled = []
        for place, request in family:
            key, record = self._spelling.spell(request, 0)
            if key in self._open:
                self._open[key].places.append(place)
                continue
            one = Open(request, [place], key, key, record)
            if not self._recall(one):
                self._open[key] = one
                unsettled.append(one)
        return unsettled

    def _grouped(self, unsettled: Sequence[Open]) -> list[Group]:
        """Calls for requests of equal content, which are in the order of their replicates."""
        groups: list[Group] = []
        for one in unsettled:
            last = groups[-1].members if groups else []
            if (
                last
                and len(last) < self._service.samples_per_call
                and len(last[-1].answers) == len(one.answers)
                and last[-1].request.replicate + 1 == one.request.replicate
            ):
                last.append(one)
            else:
                groups.append(Group([one]))
        if len(groups) > 1:
            for group in groups:
                group.is_repeated = True
            if self._service.vendor == "anthropic" and self._service.prompt_caching:
                # The first call has the vendor write the prompt to its cache, from which the others read it.
                groups[0].then = groups[1:]
                return groups[:1]
        return groups

    def _recall(self, one: Open) -> bool:
        """Take up what was recorded of a request's answers; whether that settles it."""
        while (answer := self._recorded(one.next_key)) is not None:
            if self._take(one, answer, was_recorded=True):
                return True
        return False

    def _recorded(self, key: str) -> Answer | None:
        if (answer := self._journal.get(key)) is not None:
            return answer
        if self._earlier is None:
            self._earlier = self._open_earlier()
        return next((answer for index in self._earlier if (answer := index.get(key)) is not None), None)

    def _take(self, one: Open, answer: Answer, was_recorded: bool = False) -> bool:
        """Read a request's next answer; True when no further one is needed, or none is allowed."""
        one.answers.append(answer)
        try:
            outcome = Outcome(self._accept(answer), tuple(one.answers), None)
        except Unacceptable as error:
            if len(one.answers) < self._service.attempts and not answer.not_begun:
                one.next_key, one.next_record = self._spelling.spell(one.request, len(one.answers))
                return False
            problem = str(error) if answer.stop_reason == "stop" else f"{answer.stop_reason}: {error}"
            outcome = Outcome(None, tuple(one.answers), problem)
        self._open.pop(one.key, None)
        for place in one.places:
            self._settled(place, outcome, was_recorded)
        return True


def families(requests: Iterable[Request]) -> Iterator[list[tuple[int, Request]]]:
    """The requests with their places among all, those together that follow one another and differ in replicate only."""
    family: list[tuple[int, Request]] = []
    for place, request in enumerate(requests):
        if family and (len(family) == LARGEST_FAMILY or not _equal(family[-1][1], request)):
            yield family
            family = []
        family.append((place, request))
    if family:
        yield family


def _equal(one: Request, other: Request) -> bool:
    return (
        one.messages == other.messages and one.json_schema == other.json_schema and one.generation == other.generation
    )


def _for_all(answer: Answer, samples: int) -> list[Answer]:
    """An answer that stands for all samples of a call; what was charged stands with the first."""
    free = replace(
        answer,
        prompt_tokens=0,
        cached_tokens=0,
        cache_write_tokens=0,
        dollars=None if answer.dollars is None else 0.0,
    )
    return [answer, *[free] * (samples - 1)]
