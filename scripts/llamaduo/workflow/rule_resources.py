"""The resources of the rules, as functions that Snakemake calls, and the slots that keep steps apart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llamaduo.config.root import Config
from llamaduo.storage.files import read_json, write_json
from llamaduo.workflow.layout import Results
from llamaduo.workflow.resources import Requests, service_slot, step_key, waiting_slot
from llamaduo.workflow.wildcards import Wildcards, given, signed

LONG_PLACES = 3
"""Snakemake runs five steps at a time beside its main process where the others go to a cluster, whatever their threads.
Those that may take a day get three of these places, so that the steps of seconds never wait for them."""

Amount = int | Callable[..., int]
"""A number, or a function of some of a job's names."""


@dataclass(frozen=True)
class RuleResources:
    """The resources of a config's rules. `beside`: whether steps that ask services run beside the main process."""

    config: Config
    requests: Requests
    results: Results
    beside: bool

    # Memory and time

    def memory(self, of: Amount) -> Callable[..., int]:
        """A request for memory in MB; more after the step has run out of it."""

        def megabytes(wildcards: Wildcards, rulename: str) -> int:
            times = self.times_out_of_memory(rulename, dict(wildcards.items()))
            return self.requests.memory(_amount(of, wildcards), times)

        return signed(megabytes)

    def more_each_time(self, of: Amount) -> Callable[..., int]:
        """Minutes of a step that begins anew each time: so many times the attempt."""

        def minutes(wildcards: Wildcards, attempt: int) -> int:
            return self.requests.minutes(_amount(of, wildcards) * attempt)

        return signed(minutes)

    def times_out_of_memory(self, rule: str, names: Mapping[str, str]) -> int:
        """How often a step has run out of memory: its next attempt asks for more, which no other failure does."""
        file = self.results.note("out_of_memory.json")
        return int(read_json(file).get(step_key(rule, names), 0)) if file.is_file() else 0

    def note_out_of_memory(self, rule: str, names: Mapping[str, str]) -> None:
        """Remember that a step has run out of memory."""
        file = self.results.note("out_of_memory.json")
        times = read_json(file) if file.is_file() else {}
        write_json(file, times | {step_key(rule, names): times.get(step_key(rule, names), 0) + 1})

    # Slots

    def service_slots(self, wildcard: str) -> dict[str, Any]:
        """A resource per service, taken by the jobs whose wildcard names it; one more for all beside Snakemake."""
        slots = {service_slot(name): _takes(wildcard, name) for name in self.config.services}
        return {**slots, "places_to_ask": 1} if self.beside else slots

    def waiting_slots(self) -> dict[str, Any]:
        """A resource per service, taken by the jobs that wait for its batches, and one for all that wait.

        It does not matter which of them wait: whichever does looks after all batches of the service.
        """
        return {"places_to_wait": 1, **{waiting_slot(name): _takes("service", name) for name in self.config.services}}

    def slots_of_services(self) -> dict[str, int]:
        """The resources that keep every service to the steps that may ask it at once."""
        return {service_slot(name): service.steps_at_once for name, service in self.config.services.items()}

    def limits(self) -> dict[str, int]:
        """How much there is of each of these resources, where a profile does not say otherwise."""
        places = 1 if self.beside else LONG_PLACES
        each = max(1, places // max(1, sum(one.mode == "batch" for one in self.config.services.values())))
        return {
            **self.slots_of_services(),
            **{waiting_slot(name): each for name in self.config.services},
            "places_to_wait": places,
            "places_to_ask": LONG_PLACES - 1,
        }


def _amount(of: Amount, wildcards: Wildcards) -> int:
    return int(given(of, wildcards)) if callable(of) else of


def _takes(wildcard: str, name: str) -> Callable[[Wildcards], int]:
    return signed(lambda wildcards: int(wildcards.get(wildcard) == name))
