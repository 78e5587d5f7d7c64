"""The wording of prompts: read from a file, checked for its placeholders, filled in.

A template writes `$name` where a text goes in, and `$$` for a dollar sign (`string.Template`). Texts of users and
models go in between tags on lines of their own, and cannot close them: they are material, not instructions.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from pydantic import ValidationError

from llamaduo.cli.errors import InputError
from llamaduo.cli.program import describe
from llamaduo.config.base import Section

JUDGE_PLACEHOLDERS = frozenset({"instruction", "reference", "response", "metrics", "form"})
GENERATOR_PLACEHOLDERS = frozenset({"seeds", "topic", "count"})


class PromptText(Section):
    """The two turns that a service LLM is asked with."""

    system: str = ""
    """The system turn; none when empty."""
    user: str
    """The user turn."""


class JudgePrompts(PromptText):
    """What a judge is asked, and the text of each metric."""

    metrics: dict[str, str]
    """What the judge is to look at, by the metric's name."""


class Prompts(Section):
    """All prompts of the workflow."""

    judge: JudgePrompts
    """What a judge is asked."""
    generator: PromptText
    """What a generator is asked."""


def load(path: Path) -> Prompts:
    """The prompts in a TOML file. Raises `InputError` for what is missing or misspelt, placeholders included."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file (the wording of the prompts)") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    try:
        prompts = Prompts.model_validate(values)
    except ValidationError as error:
        raise InputError(describe(error, str(path), Prompts)) from error
    check(prompts.judge, JUDGE_PLACEHOLDERS, f"{path}: judge")
    check(prompts.generator, GENERATOR_PLACEHOLDERS, f"{path}: generator")
    return prompts


def check(prompt: PromptText, placeholders: frozenset[str], where: str) -> None:
    """Raise `InputError` unless both turns use these placeholders only, and together each at least once."""
    used = set()
    for turn, text in (("system", prompt.system), ("user", prompt.user)):
        template = Template(text)
        if not template.is_valid():
            raise InputError(f"{where}.{turn}: a $ without a name; write $$ for a dollar sign")
        names = set(template.get_identifiers())
        if unknown := names - placeholders:
            raise InputError(f"{where}.{turn}: ${min(unknown)} is unknown; there are {_spelt(placeholders)}")
        used |= names
    if missing := placeholders - used:
        raise InputError(f"{where}: {_spelt(missing)} missing; without it the service LLM is not told what it needs")


def for_metrics(prompts: JudgePrompts, metrics: Sequence[str], where: str) -> JudgePrompts:
    """The judge's prompts with the texts of these metrics only, in this order.

    Raises `InputError`, naming `where` they were looked for, when a metric has no text.
    """
    for name in metrics:
        if not prompts.metrics.get(name, "").strip():
            known = ", ".join(prompts.metrics) or "none"
            raise InputError(f"{where}: the metric {name!r} has no text under [judge.metrics]; there are: {known}")
    return prompts.model_copy(update={"metrics": {name: prompts.metrics[name] for name in metrics}})


def render(text: str, values: Mapping[str, str]) -> str:
    """A template with its placeholders filled in; what is filled in is not looked at again."""
    return Template(text).substitute(values).strip()


def tagged(name: str, text: str, tags: Sequence[str] = ()) -> str:
    """`text` between `<name>` and `</name>`, each on its own line.

    These tags, and the further `tags` that a prompt is made of, are defused where the text itself contains them:
    `</response>` in a response becomes `<\\/response>`, and does not end it.
    """
    for tag in {name, *tags}:
        text = re.sub(rf"<(/?)({re.escape(tag)})>", r"<\\\1\2>", text)
    return f"<{name}>\n{text}\n</{name}>"


def _spelt(names: frozenset[str]) -> str:
    return ", ".join(f"${name}" for name in sorted(names))
