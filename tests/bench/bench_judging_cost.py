"""Dollars and calls for the paper's evaluation of one summarization cycle by one judge, three ways.

100 responses, each graded M = 10 times: as the original system does, with one call per grade; with several samples of
one prompt's answer per call; and these through the vendor's batch API. Every call is made for real, through the
vendor's SDK, to the simulated service, and what it says it served is priced. GPT-4o's figures, and other providers'
beside them, are printed as one JSON line.
"""

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from llamaduo.config import prices
from llamaduo.config.services import Generation, Price, ServiceSettings
from llamaduo.config.simulation import Simulation
from llamaduo.models.messages import Message
from llamaduo.service.batches.asking import InBatches
from llamaduo.service.budget import cost
from llamaduo.service.client import ask_all
from llamaduo.service.interface import Answer, Request
from llamaduo.simulated.answering import FIXED
from llamaduo.simulated.log import SERVED, read_log
from llamaduo.simulated.reply import CHARACTERS_PER_TOKEN
from llamaduo.simulated.server import running

RESPONSES, GRADES = 100, 10
PROMPT_TOKENS, ANSWER_TOKENS = 900, 100
KEY_VARIABLE = "BENCH_API_KEY"
# The judges of the paper (arXiv 2408.13467), and models that have their vendors' newer ways to pay less.
JUDGES = {
    "gpt-4o": ("openai", 10),
    "gpt-4.1-mini": ("openai", 10),
    "claude-3-sonnet-20240229": ("anthropic", 1),
    "claude-sonnet-4-5": ("anthropic", 1),
    "gemini-1.5-flash-001": ("gemini", 1),
    "gemini-2.5-flash": ("gemini", 8),
}
WITH_SCHEMA = {"claude-3-sonnet-20240229": "claude-sonnet-4-5"}


@dataclass(frozen=True)
class Counted:
    """What the simulated service counted, priced."""

    calls: int
    answers: int
    prompt_tokens: int
    completion_tokens: int
    dollars: float


def schema() -> dict[str, Any]:
    """An object of texts whose fixed answer has exactly `ANSWER_TOKENS`."""
    texts = 6
    marks = len(json.dumps({f"{number}": FIXED for number in range(texts)}))
    padding = ANSWER_TOKENS * CHARACTERS_PER_TOKEN - marks
    names = [str(number) + "x" * (padding // texts + (number < padding % texts)) for number in range(texts)]
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": names,
        "additionalProperties": False,
    }


def requests() -> list[Request]:
    """All grades of all responses, each prompt of exactly `PROMPT_TOKENS`."""
    form = schema()
    asked = []
    for number in range(RESPONSES):
        text = f"Grade response {number:03}. ".ljust(PROMPT_TOKENS * CHARACTERS_PER_TOKEN, ".")
        turn = (Message(role="user", content=text),)
        asked += [Request(turn, form, Generation(max_tokens=1024), replicate) for replicate in range(GRADES)]
    return asked


def counted(folder: Path, model: str, provider: str, samples: int, batch: bool, price: Price) -> Counted:
    """Grade everything anew in `folder`, and price what the service says that it served."""
    log, journal = folder / "served.jsonl", folder / "journal.jsonl"
    simulation = Simulation(reply="fixed", log=str(log))
    with running(simulation) as address:
        service = ServiceSettings(
            provider=provider,
            # The older model knows no output schema, and its simulated answer would be shorter for it.
            model=WITH_SCHEMA.get(model, model),
            base_url=address,
            simulated=True,
            samples_per_call=samples,
            mode="batch" if batch else "online",
            price=price,
            api_key_variable=KEY_VARIABLE,
        )
        asked = requests()
        if batch:
            steps = InBatches(model, service, asked, accept, journal, state=folder / "batches", step="judging")
            steps.submit()
            steps.collect(model)
        outcomes = ask_all(model, service, asked, accept, journal, model)
    lines = [line for line in read_log(log) if line["status"] == SERVED]
    dollars = sum(cost.dollars(whole(line, batch), price) or 0.0 for line in lines)
    paid = sum(answer.dollars or 0.0 for outcome in outcomes for answer in outcome.answers)
    assert abs(dollars - paid) < 1e-6, f"{model}: the service counted {dollars}, the journal {paid} dollars"
    return Counted(
        calls=len(lines),
        answers=sum(line["samples"] for line in lines),
        prompt_tokens=sum(line["prompt_tokens"] for line in lines),
        completion_tokens=sum(line["completion_tokens"] for line in lines),
        dollars=dollars,
    )


def accept(answer: Answer) -> str:
    """Any answer will do: it is what is charged that counts here."""
    return answer.text


def whole(line: dict[str, Any], batch: bool) -> Answer:
    """A served call as one answer, to be priced."""
    tokens = {
        name: line[name] for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens")
    }
    return Answer(text="", stop_reason="stop", date="", batch=batch, **tokens)


def main() -> None:
    os.environ[KEY_VARIABLE] = "not-a-key"
    known = prices.load(ROOT / "config" / "prices.yaml")
    found: dict[str, dict[str, Counted]] = {}
    for model, (provider, samples) in JUDGES.items():
        price = known.of(ServiceSettings(provider=provider, model=model, structured_output=False))
        assert price is not None
        ways = {"original": (1, False)}
        if samples > 1:
            ways["samples_per_call"] = (samples, False)
        if price.batch_prompt is not None:
            ways["batch"] = (samples, True)
        found[model] = {}
        for way, (several, batch) in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                found[model][way] = counted(Path(folder), model, provider, several, batch, price)
        assert all(each.answers == RESPONSES * GRADES for each in found[model].values()), found[model]
    paper = found["gpt-4o"]
    print(
        json.dumps(
            {
                "usd_original": round(paper["original"].dollars, 4),
                "usd_samples_per_call": round(paper["samples_per_call"].dollars, 4),
                "usd_batch": round(paper["batch"].dollars, 4),
                "calls_original": paper["original"].calls,
                "calls_samples_per_call": paper["samples_per_call"].calls,
                "share_samples_per_call": round(paper["samples_per_call"].dollars / paper["original"].dollars, 3),
                "share_batch": round(paper["batch"].dollars / paper["original"].dollars, 3),
                "prompt_tokens_per_call": paper["original"].prompt_tokens / paper["original"].calls,
                "completion_tokens_per_grade": paper["original"].completion_tokens / paper["original"].answers,
                "prices_as_of": str(known.as_of),
                "others": {
                    model: {way: {"usd": round(each.dollars, 4), "calls": each.calls} for way, each in ways.items()}
                    for model, ways in found.items()
                    if model != "gpt-4o"
                },
            }
        )
    )


if __name__ == "__main__":
    main()
