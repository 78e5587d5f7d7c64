"""One call of a service, from its reservations to its answers: paced, within the budget, and sent again if need be."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from llamaduo.config.services import ServiceSettings
from llamaduo.service.budget import cost
from llamaduo.service.interface import Answer, Budget, BudgetReached, Provider, Rejected, Request, Transient
from llamaduo.service.pacing.breaker import Admission, Breaker, Down
from llamaduo.service.pacing.limits import LONGEST_REST_SECONDS, Limits, Turn
from llamaduo.service.pacing.retry import full_jitter
from llamaduo.service.providers.fast_http import WHEN_SENT

FIRST_ESTIMATE = 1.25
"""How many times the expected tokens a prompt is held to have, until answers have told more."""
SHORT_PROMPT_TOKENS = 100
"""Of a shorter prompt most tokens may be the vendor's marks around it, which tell nothing about a long one's."""


class Stopped(Exception):  # noqa: N818
    """The call was not made, because all was to stop before its turn came."""


class Unavailable(Exception):  # noqa: N818
    """The service cannot be used now; the message says what it did."""


class Calls:
    """Makes the calls of one run to one service, and counts what becomes of them.

    `failures`: tries without an answer so far. `dollars`: what the answers cost, by the service's price.
    `budget_problem`: why the last booking failed, if one did; no further call is made then.
    """

    def __init__(self, service: ServiceSettings, budget: Budget | None) -> None:
        self._service, self._budget = service, budget
        self.limits = Limits(service.requests_per_minute, service.tokens_per_minute)
        self._breaker = Breaker(service.retries)
        self._stopping = asyncio.Event()
        self._settled = asyncio.Event()
        self._reservations = self._answered = 0
        self._estimate = FIRST_ESTIMATE
        self.failures = 0
        self.dollars = 0.0
        self._last_problem = ""
        self.budget_problem: Exception | None = None

    def stop(self) -> None:
        """Make no further call; those that are in flight go on."""
        self._stopping.set()
        self._settled.set()
        self._breaker.stop()
        self.limits.stop()

    @property
    def is_stopping(self) -> bool:
        """Whether no further call is made."""
        return self._stopping.is_set()

    def status(self) -> str:
        """What goes on, in a few words: dollars, failures, and what is waited for."""
        words = [] if self._service.price is None else [f"${self.dollars:.2f}"]
        if self.failures:
            words.append(f"{self.failures} failed tries")
        if self._breaker.is_open:
            words.append(f"service down: {self._last_problem}")
        elif self.limits.waiting_seconds:
            words.append(f"waiting {self.limits.waiting_seconds:.0f} s for the limit")
        return ", ".join(words)

    async def answers(
        self, provider: Provider, request: Request, headers: Mapping[str, str], samples: int
    ) -> list[Answer]:
        """The answers of the first try that succeeds: as many as came of the `samples`, at least one.

        Raises `Rejected` at once, `Unavailable` when every try failed, `BudgetReached`, and `Stopped`.
        """
        failures, others = 0, self._answered
        while True:
            admission = await self._breaker.admission()
            if admission == "stopped":
                raise Stopped
            try:
                return await self._reserved(provider, request, headers, samples)
            except Transient as error:
                self.failures += 1
                self._last_problem = str(error)
                # To a service that answers others in the meantime, this one came too soon, and is no failure of it.
                if not self._breaker.is_open and not (error.is_limit and self._answered > others):
                    failures += 1
                others = self._answered
                self._count_failure(error, admission, failures)
                await self._pause((error.retry_after or 0.0) + full_jitter(max(failures, 1)))

    def _count_failure(self, error: Transient, admission: Admission, failures: int) -> None:
        if error.retry_after:
            self.limits.rest(min(error.retry_after, LONGEST_REST_SECONDS))
        if failures > self._service.retries or (error.retry_after or 0.0) > LONGEST_REST_SECONDS:
            raise Unavailable(f"{error}; given up (retries: {self._service.retries})") from error
        if error.is_limit:
            self._breaker.answered()
            return
        try:
            self._breaker.failed(admission)
        except Down:
            raise Unavailable(
                f"is down: none of the last {self._breaker.failures} requests was answered, the last one failed with: "
                f"{error}; given up after pauses of up to {self._breaker.pause:g} s (retries: {self._service.retries})"
            ) from error

    async def _reserved(
        self, provider: Provider, request: Request, headers: Mapping[str, str], samples: int
    ) -> list[Answer]:
        """One try, with all that it may need set aside before, and what it did not need given back after."""
        dollars = await self._reserve(request, samples)
        spent = lost = 0.0
        expected = cost.prompt_tokens_expected(request.messages, request.json_schema)
        try:
            turn = await self.limits.turn(expected * self._estimate + request.generation.max_tokens * samples)
            if turn is None:
                raise Stopped
            lost = dollars
            answers = await self._sent(turn, expected, provider, request, headers, samples)
            if self._service.price is not None:
                answers = cost.priced(answers, request.messages, request.json_schema, self._service.price)
                spent = sum(answer.dollars or 0.0 for answer in answers)
                self.dollars += spent
            lost = 0.0
        except (Transient, Rejected) as error:
            if not (isinstance(error, Transient) and error.may_be_charged):
                lost = 0.0
            raise
        finally:
            self._settle(dollars, spent, lost)
        self._answered += 1
        self._breaker.answered()
        return answers

    async def _sent(
        self,
        turn: Turn,
        expected: int,
        provider: Provider,
        request: Request,
        headers: Mapping[str, str],
        samples: int,
    ) -> list[Answer]:
        """Send a call in its turn, and correct what the turn took by what was used. `expected`: the prompt's tokens."""
        used = prompt = expected * self._estimate
        WHEN_SENT.set(partial(self.limits.sent, turn))
        try:
            async with asyncio.timeout(self._service.timeout_seconds):
                answers = await provider.ask(request, headers, samples)
            used = cost.tokens_used(answers, prompt)
            self._estimate = max(self._estimate, answers[0].prompt_tokens / max(expected, SHORT_PROMPT_TOKENS))
        except TimeoutError as error:
            problem = f"no answer within {self._service.timeout_seconds:g} s"
            raise Transient(problem, may_be_charged=True) from error
        finally:
            self.limits.used(turn, used)
        return answers

    async def _reserve(self, request: Request, samples: int) -> float:
        """Set aside what a call may cost at most, in dollars.

        What the calls in flight do not use of theirs may be enough, so the budget is reached when there are none.
        """
        if self._budget is None:
            return 0.0
        dollars = cost.most_dollars(request, samples, self._service.price)
        while True:
            if self.budget_problem is not None:
                raise self.budget_problem
            try:
                self._budget.reserve(dollars)
                break
            except BudgetReached:
                if not self._reservations:
                    raise
            self._settled.clear()
            await self._settled.wait()
            if self.is_stopping:
                raise Stopped
        self._reservations += 1
        return dollars

    def _settle(self, reserved: float, spent: float, lost: float) -> None:
        if self._budget is None:
            return
        self._reservations -= 1
        try:
            self._budget.settle(reserved, spent, lost)
        except Exception as error:
            # Raised later: the answers of this call are paid for, and are still to reach the journal.
            self.budget_problem = error
        self._settled.set()

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the moment at which all is to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        if self.is_stopping:
            raise Stopped
