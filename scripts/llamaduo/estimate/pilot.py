"""The first real calls of a workflow: a few pairs of every generator, and a few grades of every judge.

They are the calls that the workflow itself begins with, in its own journals, so none of them is paid for twice: the
first calls of each pool, the reference service's responses to the first test prompts, and their grades.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llamaduo.config.budget import BudgetSettings
from llamaduo.config.root import Config
from llamaduo.config.services import ServiceSettings
from llamaduo.curation.curate import curate
from llamaduo.inference import service_responses
from llamaduo.inference.service_responses import responses
from llamaduo.judging import grades
from llamaduo.judging.judgement import read
from llamaduo.models.messages import as_text, context, response
from llamaduo.service.budget.ledger import opened
from llamaduo.service.budget.usage import costs_row
from llamaduo.service.client import ask_all
from llamaduo.service.interface import Answer, Outcome, Request
from llamaduo.service.prompts import Prompts, for_metrics
from llamaduo.storage.tables import Row
from llamaduo.synthesis.answers import read_answer
from llamaduo.synthesis.seeds import calls
from llamaduo.synthesis.synthesize import requests as synthesis_requests
from llamaduo.synthesis.synthesize import rows as synthesis_rows

PAIRS, GRADES = 50, 20
"""What is asked of every generator of a task, and of every judge."""
RESPONSES_GRADED = 2
"""At least so many responses are graded, to different prompts."""


@dataclass(frozen=True)
class Sample:
    """Something to look at: what a generator wrote, or how a judge graded it."""

    task: str
    service: str
    role: str
    text: str


@dataclass(frozen=True)
class Pilot:
    """What the pilot found: rows of `schemas.costs`, shares of accepted pairs, samples."""

    costs: list[Row]
    yields: list[dict[str, Any]]
    samples: list[Sample]


@dataclass(frozen=True)
class _Asked:
    """Where the pilot's calls go."""

    config: Config
    journals: Path
    budget: BudgetSettings | None

    def ask(
        self, name: str, requests: Sequence[Request], accept: Callable[[Answer], Any], journal: str, label: str
    ) -> list[Outcome[Any]]:
        path = self.journals / journal
        service = self.at_once(name)
        earlier = sorted(set(path.parent.glob("*.jsonl")) - {path}) if journal.startswith("synthesis/") else []
        with opened(self.budget, path, service) as ledger:
            return ask_all(name, service, requests, accept, path, f"pilot: {label}", earlier, budget=ledger)

    def at_once(self, name: str) -> ServiceSettings:
        """A service without its batch API, whose answers may take a day; the answers are the same ones."""
        return self.config.services[name].model_copy(update={"mode": "online"})


def pilot(
    config: Config,
    prompts: Prompts,
    train: Mapping[str, Sequence[Row]],
    test: Mapping[str, Sequence[Row]],
    journals: Path,
    budget: BudgetSettings | None,
) -> Pilot:
    """Make the pilot's calls for every task, and measure what they cost and how many pairs curation accepts.

    `train`, `test`: the splits by task. Raises what `ask_all` raises.
    """
    asked, found = _Asked(config, journals, budget), Pilot([], [], [])
    for task in config.tasks:
        if any(config.tasks[task].volumes):
            for generator in config.tasks[task].generators:
                _pairs(asked, prompts, task, generator, train[task], test[task], found)
        graded = _responses(asked, task, test[task], found)
        for judge in config.judges_of(task):
            _grades(asked, prompts, task, judge, graded, found)
    return found


def _pairs(
    asked: _Asked,
    prompts: Prompts,
    task: str,
    generator: str,
    train: Sequence[Row],
    test: Sequence[Row],
    found: Pilot,
) -> None:
    config, settings = asked.config, asked.config.synthesis
    number = math.ceil(PAIRS / settings.pairs_per_call)
    drawn = calls(
        train,
        range(number),
        seeds_per_call=settings.seeds_per_call,
        task=task,
        generator=generator,
        seed=config.seed,
    )
    service = config.services[generator]
    requests = synthesis_requests(drawn, service, settings, prompts.generator, config.topic_of(task))
    place = f"synthesis/{task}/{generator}/chunk-0.jsonl"
    outcomes = asked.ask(generator, requests, read_answer, place, f"pairs by {generator}")
    found.costs.append(costs_row("generator", generator, service, requests, outcomes, {"task": task}))
    rows = synthesis_rows(drawn, generator, outcomes)
    curated = curate(rows, train, test, config.curation)
    share = len(curated.kept) / (number * settings.pairs_per_call)
    found.yields.append({"task": task, "generator": generator, "share": share})
    for position in curated.kept[:1]:
        messages = rows[position]["messages"]
        text = f"{as_text(context(messages))}\n-> {response(messages)}"
        found.samples.append(Sample(task, generator, "generator", text))


def _responses(asked: _Asked, task: str, test: Sequence[Row], found: Pilot) -> list[tuple[str, list[Row]]]:
    """What the judges grade, and in which folder of journals: a service's own responses, as they are needed anyway.

    Where no service is a baseline, the references stand for responses, and their grades are for the pilot alone.
    """
    config = asked.config
    services = config.baseline_services(task)
    prompts = list(test[: max(RESPONSES_GRADED, math.ceil(GRADES / config.judging.grades))])
    if not services:
        rows = [_as_response(row) for row in prompts]
        return [(f"judging/pilot/{task}", rows)]
    name = config.tasks[task].reference if config.tasks[task].reference in services else services[0]
    service, samples = config.services[name], config.inference.samples
    requests = service_responses.requests(prompts, samples, service.generation.baseline)
    place = f"baselines/{task}/{name}.jsonl"
    outcomes = asked.ask(name, requests, lambda answer: answer, place, f"responses of {name}")
    found.costs.append(costs_row("baseline", name, service, requests, outcomes, {"task": task}))
    rows = responses(prompts, samples, outcomes, name, service.model)
    # The first response to each prompt: different prompts tell more than different samples.
    return [(f"judging/baselines/{task}/{name}", rows[::samples])]


def _as_response(row: Row) -> Row:
    return {
        "instructions": as_text(context(row["messages"])),
        "target_responses": response(row["messages"]),
        "candidate_responses": response(row["messages"]),
        "sample": 0,
    }


def _grades(
    asked: _Asked, prompts: Prompts, task: str, judge: str, graded: list[tuple[str, list[Row]]], found: Pilot
) -> None:
    config = asked.config
    settings, service = config.judging, config.services[judge]
    wording = for_metrics(prompts.judge, settings.metrics, "judging.metrics")
    for folder, rows in graded:
        requests = grades.requests(rows, settings, wording, service.generation.judge)[: max(GRADES, settings.grades)]
        outcomes = asked.ask(
            judge,
            requests,
            lambda answer: read(answer, settings.metrics),
            f"{folder}/{judge}.jsonl",
            f"grades by {judge}",
        )
        found.costs.append(costs_row("judge", judge, service, requests, outcomes, {"task": task}))
        given = [outcome.value for outcome in outcomes if outcome.value is not None and outcome.value.scores]
        for value in given[:1]:
            lines = [f"{metric} {value.scores[metric]:g}: {value.reasons.get(metric)}" for metric in value.scores]
            found.samples.append(Sample(task, judge, "judge", "\n".join(lines)))
