"""What is checked before the first job: everything that would otherwise fail after money or GPU time is spent."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.config.root import Config
from llamaduo.coverage.check import check as check_coverage
from llamaduo.models.hub import cached, contents, is_hub_id
from llamaduo.service.providers.keys import missing_key
from llamaduo.workflow.prefetch import repositories

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
"""The vocabulary of a tokenizer is in one of these."""
ASKS = {"synthesize": "generator", "judge": "judge", "respond_service": "service"}
"""The rules that ask services, and the wildcards that name them."""


def check(config: Config, services: Sequence[str], models: bool, coverage: bool) -> None:
    """Raise `InputError` for the first thing that is wrong with what the config names.

    Args:
        config: the config.
        services: names of the services that will be called: their API keys must be there.
        models: whether models will be loaded: those in folders on this machine must be whole, those on the Hub in its
            cache or free to be downloaded.
        coverage: whether the coverage dataset will be read: every row of it must be usable.
    """
    check_keys(config, services)
    if models:
        for name, model in config.models.items():
            check_model(name, model)
        check_hub(config)
    if coverage:
        check_coverage(config.coverage, {name: task.categories for name, task in config.tasks.items()})


def services_used(config: Config) -> list[str]:
    """All services that the config's steps call: generators, baselines, services to be matched, judges."""
    used = [judge for judge in config.judges if any(judge in config.judges_of(task) for task in config.tasks)]
    for name, task in config.tasks.items():
        used += [*task.generators, *config.baseline_services(name)]
        used += [task.reference] if config.decision.needs_service else []
    return list(dict.fromkeys(used))


def services_to_ask(config: Config, jobs: Iterable[tuple[str, Mapping[str, str]]], leads_on: bool) -> set[str]:
    """The services that planned jobs call, or that jobs may call which a decision or a pool's yield asks for.

    `jobs`: rules and wildcards. `leads_on`: whether decisions may ask for any further step.
    """
    names, rules = set(), set()
    for rule, wildcards in jobs:
        rules.add(rule)
        if rule in ASKS:
            names.add(wildcards[ASKS[rule]])
    if leads_on or "pilot" in rules:
        names |= set(services_used(config))
    if {"curate", "measure_pool"} & rules:
        names |= {generator for task in config.tasks.values() for generator in task.generators}
    return names


def engines(config: Config) -> set[str]:
    """The inference engines that some cycle uses."""
    overridden = [one.inference["engine"] for one in config.overrides if "engine" in one.inference]
    return {config.inference.engine, *overridden}


def check_folder(key: str, folder: Path) -> None:
    """Make a folder; raises `InputError`, naming the config's key, where no file can be written into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except FileExistsError:
        raise InputError(f"{key}: {folder} is a file, where a folder is needed") from None
    except OSError as error:
        raise InputError(f"{key}: {folder} cannot be written: {error.strerror}") from None


def check_keys(config: Config, services: Sequence[str]) -> None:
    """Raise `InputError` when one of the services named has no API key, or is not in the config."""
    missing = []
    for name in sorted(set(services)):
        if name not in config.services:
            raise InputError(f"{name!r} is not one of the config's services: {', '.join(config.services)}")
        if problem := missing_key(config.services[name]):
            missing.append(f"services.{name}: {problem}")
    if missing:
        raise InputError("\n".join(missing))


def check_model(name: str, model: ModelSettings) -> None:
    """Raise `InputError` for a path that is neither a folder nor an id on the Hub, and for a folder without a model."""
    settings = "adapter_config.json" if model.kind == "adapter" else "config.json"
    # An adapter may come with a tokenizer of its own, or go with that of its base.
    own_tokenizer = model.base is None or (Path(model.path).expanduser() / "tokenizer_config.json").is_file()
    _check_folder(f"models.{name}.path", model.path, settings, tokenizer=own_tokenizer)
    if model.base is not None:
        # Whether an adapter on the Hub has a tokenizer is not known here.
        adapter_is_here = Path(model.path).expanduser().is_dir()
        _check_folder(f"models.{name}.base", model.base, "config.json", tokenizer=adapter_is_here and not own_tokenizer)
    if model.chat_template is not None and not model.chat_template.is_file():
        raise InputError(f"models.{name}.chat_template: {model.chat_template}: no such file")


def check_hub(config: Config) -> None:
    """Raise `InputError` for a model on the Hub that is neither in the cache nor to be had."""
    for key, repository in repositories(config).items():
        if repository.kind == "model" and cached(repository) is None:
            try:
                contents(repository)
            except InputError as error:
                raise InputError(f"{key}: {error}") from error


def _check_folder(key: str, path: str, settings: str, tokenizer: bool) -> None:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        if not is_hub_id(path):
            raise InputError(f"{key}: {path}: no such folder, and no id on the Hub (like 'google/gemma-2b') either")
        return
    if not (folder / settings).is_file():
        raise InputError(f"{key}: {path} holds no model: {settings} is missing")
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"{key}: {path} holds no weights: a .safetensors file is missing")
    if tokenizer and not any((folder / file).is_file() for file in TOKENIZER_FILES):
        raise InputError(f"{key}: {path} holds no tokenizer: one of {', '.join(TOKENIZER_FILES)} must be there")
