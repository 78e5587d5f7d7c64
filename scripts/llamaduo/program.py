"""What every program shares: typed options from a function's signature, `--from-config`, errors at the edge."""

import json
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TypeVar, get_args, get_type_hints

from jsonargparse import ArgumentParser
from pydantic import BaseModel, ValidationError

from llamaduo.errors import InputError, ServiceError

Settings = TypeVar("Settings", bound=BaseModel)


def run(main: Callable[..., None], description: str | None) -> None:
    """Run `main` with options made from its signature and docstring.

    Every option can also be given by `--from-config FILE` (YAML or JSON, the options' names as keys; options on
    the command line win when they come after it). A user's mistake ends in one line on standard error and exit
    status 1, wrong options in exit status 2, and neither in a traceback.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    parser = ArgumentParser(description=(description or "").strip())
    parser.add_argument("--from-config", action="config", help="YAML or JSON file with these options' names as keys")
    parser.add_function_arguments(main)
    _spell_with_dashes(parser)
    _take_bare_flags(parser, main)
    arguments = parser.parse_args(_with_lists(sys.argv[1:], main))
    try:
        options = vars(parser.instantiate(arguments))
    except ValidationError as error:
        print(f"error: {describe(error, 'options')}", file=sys.stderr, flush=True)
        sys.exit(2)
    options.pop("from_config", None)
    try:
        main(**options)
    except (InputError, ServiceError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)


def _spell_with_dashes(parser: ArgumentParser) -> None:
    """Make `--two-words` of the option of a parameter `two_words`; the parameter's own spelling is taken as well."""
    for action in parser._actions:
        for option in [option for option in action.option_strings if "_" in option and "." not in option]:
            spelt = option.replace("_", "-")
            parser._option_string_actions[spelt] = action
            action.option_strings = [spelt if one == option else one for one in action.option_strings]


def _take_bare_flags(parser: ArgumentParser, main: Callable[..., None]) -> None:
    """Make `--flag` alone mean `--flag true`."""
    flags = {name for name, hint in get_type_hints(main).items() if hint is bool}
    for action in parser._actions:
        if action.dest in flags:
            action.nargs, action.const = "?", True


def _with_lists(arguments: Sequence[str], main: Callable[..., None]) -> list[str]:
    """The arguments with the values of list options, `--files A B C`, as the JSON list that the parser takes."""
    hints = get_type_hints(main)
    lists = {f"--{name.replace('_', '-')}" for name, hint in hints.items() if _is_list_of_words(hint)}
    found, rest = [], list(arguments)
    while rest:
        found.append(rest.pop(0))
        if found[-1].replace("_", "-") in lists:
            values = list(takewhile(lambda value: not value.startswith("--"), rest))
            rest = rest[len(values) :]
            is_json = len(values) == 1 and values[0].startswith("[")
            found.append(values[0] if is_json else json.dumps(values))
    return found


def _is_list_of_words(hint: object) -> bool:
    return any(one in (list[Path], list[str]) for one in (hint, *get_args(hint)))


def read_settings(text: str, model: type[Settings], name: str) -> Settings:
    """`text`, a JSON object given as the option `name`, as settings of the given model."""
    try:
        return model.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise InputError(f"{name}: not JSON: {error}") from error
    except ValidationError as error:
        raise InputError(describe(error, name)) from error


def describe(error: ValidationError, where: str) -> str:
    """One line per wrong key: where it stands, what is wrong with it, and what was found there."""
    lines = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"]) or "(top level)"
        message = problem["msg"].removeprefix("Value error, ")
        found = problem.get("input")
        shown = "" if isinstance(found, dict | list | BaseModel) else f" (found {found!r})"
        lines.append(f"{where}: {key}: {message}{shown}")
    return "\n".join(lines)


def existing_file(path: Path, what: str) -> Path:
    """`path`, when it is a file; otherwise an `InputError` that says which file is missing."""
    if not path.is_file():
        raise InputError(f"{path}: no such file ({what})")
    return path
