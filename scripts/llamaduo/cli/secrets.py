"""API keys and passwords where they do not belong: they are refused, and never shown."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

SECRET = re.compile(
    r"""
    ^sk-[\w-]{8,}$                                    # OpenAI, Anthropic, DeepSeek, LiteLLM, ...; the whole text
    | \bsk-(?:[\w-]*-)?(?=[A-Za-z]*\d)[A-Za-z0-9]{12,} # the same within a text: no word, since a digit is in it
    | \b(?:AIza|ya29\.)[\w-]{20,}                     # Google
    | \b(?:hf_|gsk_|ghp_|r8_|pplx-|xai-)[A-Za-z0-9]{20,} # Hugging Face, Groq, GitHub, Replicate, ...
    | \b(?:glpat|nvapi)-[\w-]{20,}                    # GitLab, NVIDIA
    | \bgithub_pat_\w{20,}
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                   # AWS
    | \beyJ[\w-]{10,}\.[\w-]{10,}\.                   # a JSON web token
    | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----
    | ^Bearer\ \S{8,}
    """,
    re.VERBOSE,
)
"""What the keys of LLM services and their clouds look like."""

NAME = re.compile(r"(^|[_-])(api[_-]?key|key|token|secret|password|passwd|credentials?)$", re.IGNORECASE)
"""Names of settings that hold a key; `max_tokens` and `api_key_variable` are none."""

ADVICE = "API keys are given in environment variables (services.NAME.api_key_variable says in which)"


def looks_secret(text: str) -> bool:
    """Whether a text looks like an API key or a password, or has one in it."""
    return SECRET.search(text) is not None


def holds_secret(name: str) -> bool:
    """Whether a setting of this name holds an API key or a password."""
    return NAME.search(name) is not None


def secrets(
    values: Any, allowed: Sequence[str] = (), place: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every secret in nested values: where it is, and what to say of it, which never shows it.

    `allowed` are the endings of dotted keys that may hold a key that is none, such as a simulated service's.
    """
    is_allowed = ".".join(map(str, place)).endswith(tuple(allowed))
    if isinstance(values, dict):
        for name, value in values.items():
            if looks_secret(str(name)):
                yield place, f"the name of a key here looks like an API key; it is not shown. {ADVICE}"
            else:
                yield from secrets(value, allowed, (*place, str(name)))
    elif isinstance(values, list | tuple):
        for number, value in enumerate(values):
            yield from secrets(value, allowed, (*place, number))
    elif isinstance(values, str) and looks_secret(values):
        yield place, f"looks like an API key; it is not shown. {ADVICE}"
    elif isinstance(values, str | int) and values and place and holds_secret(str(place[-1])) and not is_allowed:
        yield place, f"a key or password does not belong here; it is not shown. {ADVICE}"
