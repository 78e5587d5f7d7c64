"""What is checked before the first job: everything that would otherwise fail after money or GPU time is spent."""

from pathlib import Path

from llamaduo.config.models import ModelSettings
from llamaduo.config.root import Config
from llamaduo.coverage.check import check as check_coverage
from llamaduo.errors import InputError
from llamaduo.service.keys import missing_key


def check(config: Config, keys: bool) -> None:
    """Raise `InputError` for the first thing that is wrong with what the config names.

    Looks at the services' API keys (where `keys` says that they will be needed), the folders of models that are on
    this machine, and every row of the coverage dataset.
    """
    if keys:
        check_keys(config)
    for name, model in config.models.items():
        check_model(name, model)
    check_coverage(config.coverage, {name: task.categories for name, task in config.tasks.items()})


def check_keys(config: Config) -> None:
    """Raise `InputError` when a service that the config uses has no API key."""
    used = {*config.judges}
    for name, task in config.tasks.items():
        used |= {*task.generators, *config.baseline_services(name)}
    problems = {name: missing_key(config.services[name]) for name in sorted(used)}
    missing = [f"services.{name}: {problem}" for name, problem in problems.items() if problem]
    if missing:
        raise InputError("\n".join(missing))


def check_model(name: str, model: ModelSettings) -> None:
    """Raise `InputError` for a path that is meant as a folder and is none, or that holds no model."""
    for key, path in (("path", model.path), ("base", model.base)):
        if path is None:
            continue
        folder = Path(path).expanduser()
        if folder.is_dir():
            expected = "adapter_config.json" if model.kind == "adapter" and key == "path" else "config.json"
            if not (folder / expected).is_file():
                raise InputError(f"models.{name}.{key}: {path} holds no model: {expected} is missing")
        elif path.startswith((".", "/", "~")) or path.count("/") != 1:
            raise InputError(f"models.{name}.{key}: {path}: no such folder, and no Hub id (owner/name) either")
    if model.chat_template is not None and not model.chat_template.is_file():
        raise InputError(f"models.{name}.chat_template: {model.chat_template}: no such file")
