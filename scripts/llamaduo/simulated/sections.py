"""The tagged sections of the judge's and the generator's prompts, read back out of them."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class JudgePrompt:
    """What a judge is shown of one response."""

    instruction: str
    reference: str
    response: str


@dataclass(frozen=True)
class Seed:
    """One pair that a generator is shown."""

    instruction: str
    response: str


@dataclass(frozen=True)
class GeneratorPrompt:
    """What a generator is shown: at least one seed, the topic, and how many pairs to write."""

    seeds: tuple[Seed, ...]
    topic: str
    count: int


def judge_prompt(text: str) -> JudgePrompt | None:
    """The parts of a judge's prompt; None when `text` is not one."""
    instruction, reference, response = (_section(text, tag) for tag in ("instruction", "reference", "response"))
    if instruction is None or reference is None or response is None:
        return None
    return JudgePrompt(instruction, reference, response)


def generator_prompt(text: str) -> GeneratorPrompt | None:
    """The parts of a generator's prompt; None when `text` is not one."""
    count = re.search(r"\d+", _section(text, "count") or "")
    seeds = []
    for block in re.findall(r"^<seed>[ \t]*\n(.*?)^</seed>[ \t]*$", text, re.DOTALL | re.MULTILINE):
        instruction, response = _section(block, "instruction"), _section(block, "response")
        if instruction is not None and response is not None:
            seeds.append(Seed(instruction, response))
    if count is None or not seeds:
        return None
    return GeneratorPrompt(tuple(seeds), _section(text, "topic") or "", int(count.group()))


def _section(text: str, tag: str) -> str | None:
    """What stands between the first opening and the last closing tag; each has a line, or they share one."""
    pattern = rf"^<{tag}>[ \t]*\n?(.*)\n?[ \t]*</{tag}>[ \t]*$"
    found = re.search(pattern, text, re.DOTALL | re.MULTILINE)
    return None if found is None else found.group(1).strip("\n")
