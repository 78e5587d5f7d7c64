"""What each vendor's API and models take; settings that they would refuse are refused before anything is sent.

Sources: https://platform.openai.com/docs/guides/reasoning, https://platform.claude.com/docs/en/about-claude/models
(its migration guides), https://ai.google.dev/api/generate-content.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamaduo.config.services import Generation, ServiceSettings

KEY_VARIABLES: dict[str, tuple[str, ...]] = {
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "anthropic-vertex": ("GCP_ACCESS_TOKEN",),
    "anthropic-bedrock": ("AWS_BEARER_TOKEN_BEDROCK",),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "gemini-vertex": ("GCP_ACCESS_TOKEN",),
}
"""The vendor's own variables for the API key, per provider, in the order in which they are looked at."""

HIGHEST_TEMPERATURE = {"openai": 2.0, "anthropic": 1.0, "gemini": 2.0}
"""The highest temperature that each vendor's API accepts."""
MOST_SAMPLES = {"openai": 128, "anthropic": 1, "gemini": 8}
"""The most samples that each vendor's API gives in one call (OpenAI: n, Gemini: candidateCount)."""
WITH_BATCHES = frozenset({"openai", "anthropic", "gemini"})
"""The providers whose batch API needs no more than the API key; those of the clouds go through their storage."""
WITH_PROJECT = frozenset({"anthropic-vertex", "gemini-vertex"})
WITH_LOCATION = WITH_PROJECT | {"anthropic-bedrock"}

AZURE_HOSTS = re.compile(r"\.(openai|services\.ai|cognitiveservices)\.azure\.(com|us|cn)(/|:|$)")

OPENAI_HOSTS = re.compile(r"//([^/]+\.)?openai\.com(:|/|$)")
OPENAI_MODEL = re.compile(r"(.*/)?(gpt-(?!oss)|chatgpt-|o\d(-|$))")
"""OpenAI's own models, by whatever gateway; gpt-oss is one that others serve."""

# The models of the GPT-5 generation that take sampling settings have a name behind the number (gpt-5-chat, gpt-5.1).
OPENAI_WITHOUT_SAMPLING = re.compile(r"(o\d|gpt-5(?!-chat|\.))(-|$)")
CLAUDE = re.compile(r"claude-(?P<family>[a-z]+)-(?P<major>\d)(?:-(?P<minor>\d))?(?!\d)")
OLDER_CLAUDE = re.compile(r"claude-(?:v?[12]|instant|3)(?!\d)")
CLAUDE_OF_ONE_SAMPLER, CLAUDE_OF_NO_SAMPLER = {"opus": (4, 1)}, {"opus": (4, 7)}
"""The first versions, by family, that take temperature or top_p but not both, and neither; see `_reaches`."""


def objections(service: "ServiceSettings") -> Iterator[str]:
    """What the service's vendor or model would refuse, as messages that name the setting and what would be right."""
    yield from _misplaced(service)
    yield from _sampling(service)
    most = most_samples(service)
    if service.samples_per_call > most:
        wanted = f"samples_per_call is {service.samples_per_call}; {service.provider} gives at most {most} in one call"
        yield wanted + (": leave it out" if most == 1 else "")
    if service.mode == "batch" and (reason := _without_batches(service)):
        yield f'mode is "batch", {reason}; "online" is possible'
    if service.structured_output and service.vendor == "anthropic" and _knows_no_schema(service.model):
        yield f"{service.model} knows no output schema: set structured_output to false; the schema is then checked here"


def most_samples(service: "ServiceSettings") -> int:
    """The most samples that a call to this service may ask for."""
    return MOST_SAMPLES[service.vendor]


def output_limit(service: "ServiceSettings", generation: "Generation") -> int:
    """The output tokens that one answer may have, thoughts included."""
    return generation.max_tokens + (generation.thinking_tokens or 0)


def is_azure(service: "ServiceSettings") -> bool:
    """Whether an OpenAI service is an Azure OpenAI resource, at its v1 address or that of an api-version."""
    return service.azure_api_version is not None or AZURE_HOSTS.search(service.base_url or "") is not None


def knows_max_tokens_only(service: "ServiceSettings") -> bool:
    """Whether it is another's server of OpenAI's protocol.

    Some of these ignore the field max_completion_tokens (Ollama) or refuse it (Mistral); all know the older max_tokens.
    """
    address = service.base_url or ""
    own = not address or service.is_simulated or is_azure(service) or OPENAI_HOSTS.search(address) is not None
    return not own and OPENAI_MODEL.match(service.model) is None


def _misplaced(service: "ServiceSettings") -> Iterator[str]:
    """Settings of another provider than the service's."""
    owners: Mapping[str, tuple[object, frozenset[str]]] = {
        "sdk": (service.sdk, frozenset({"gemini"})),
        "azure_api_version": (service.azure_api_version, frozenset({"openai"})),
        "project": (service.project, WITH_PROJECT),
        "location": (service.location, WITH_LOCATION),
    }
    for name, (value, providers) in owners.items():
        if value is not None and service.provider not in providers:
            yield f"{name} is a setting of {' and '.join(sorted(providers))}; {service.provider} has no use for it"
    if service.azure_api_version is not None and service.base_url is None:
        yield "azure_api_version needs a base_url: the address of the Azure resource, https://NAME.openai.azure.com"


def _sampling(service: "ServiceSettings") -> Iterator[str]:
    highest, given = HIGHEST_TEMPERATURE[service.vendor], []
    for role, generation in service.generation:
        where = f"generation.{role}"
        set_here = [f"{where}.{name}" for name in ("temperature", "top_p") if getattr(generation, name) is not None]
        if generation.temperature is not None and generation.temperature > highest:
            yield f"{where}.temperature is {generation.temperature:g}; {service.provider} takes 0 to {highest:g}"
        if len(set_here) > 1 and _takes_one_sampler(service) and not _takes_no_sampling(service):
            yield f"{service.model} takes temperature or top_p, not both: set {' or '.join(set_here)} to null"
        given += set_here
    if given and _takes_no_sampling(service):
        yield f"{service.model} takes no sampling settings: set {', '.join(given)} to null"


def _takes_no_sampling(service: "ServiceSettings") -> bool:
    if service.vendor == "openai":
        return OPENAI_WITHOUT_SAMPLING.match(service.model) is not None
    return service.vendor == "anthropic" and _reaches(service.model, CLAUDE_OF_NO_SAMPLER, otherwise=(5, 0))


def _knows_no_schema(model: str) -> bool:
    # Sonnet 4 and Opus 4 do not know any either, the next versions do.
    found = CLAUDE.search(model)
    first = found is not None and (int(found["major"]), int(found["minor"] or 0)) < (4, 1)
    return first or OLDER_CLAUDE.search(model) is not None


def _takes_one_sampler(service: "ServiceSettings") -> bool:
    return service.vendor == "anthropic" and _reaches(service.model, CLAUDE_OF_ONE_SAMPLER, otherwise=(4, 5))


def _reaches(model: str, first: Mapping[str, tuple[int, int]], otherwise: tuple[int, int]) -> bool:
    """Whether a Claude model is at least of the version named for its family; False for other models."""
    found = CLAUDE.search(model)
    if found is None:
        return False
    version = int(found["major"]), int(found["minor"] or 0)
    return version >= first.get(found["family"], otherwise)


def _without_batches(service: "ServiceSettings") -> str | None:
    if service.provider not in WITH_BATCHES:
        return f"which {service.provider} has not without the cloud's storage"
    if is_azure(service):
        return "which Azure has only for deployments of a kind of their own"
    if service.sdk == "google-generativeai":
        return "which google-generativeai does not know"
    if service.base_url == "simulated":
        return (
            "which the simulated service inside of a step cannot keep until the next step: start "
            "scripts/simulated_service.py and give its address as base_url, with simulated: true"
        )
    return None
