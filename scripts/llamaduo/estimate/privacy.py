"""Which fields of the user's data go to which service LLM."""

from dataclasses import dataclass

from llamaduo.config.root import Config

GENERATOR = "train split: prompts with system and earlier turns, responses; the task's topic"
BASELINE = "test split: prompts with system and earlier turns"
JUDGE = "test split: prompts with system and earlier turns, responses (as references); the responses that are graded"


@dataclass(frozen=True)
class Sent:
    """What of a task's data one service is sent in one role."""

    service: str
    provider: str
    task: str
    role: str
    fields: str


def sent(config: Config) -> list[Sent]:
    """What is sent where, by service; a simulated service runs on this machine."""
    found = []
    for task, settings in config.tasks.items():
        roles = [
            ("generator", settings.generators if any(settings.volumes) else [], GENERATOR),
            ("baseline", config.baseline_services(task), BASELINE),
            ("judge", config.judges_of(task), JUDGE),
        ]
        for role, names, fields in roles:
            found += [Sent(name, _address(config, name), task, role, fields) for name in names]
    return sorted(found, key=lambda each: list(config.services).index(each.service))


def _address(config: Config, name: str) -> str:
    service = config.services[name]
    if service.is_simulated:
        return "simulated, stays on this machine"
    return f"{service.provider} at {service.base_url}" if service.base_url else service.provider
