"""What every program shares: typed options from a function's signature, `--from-config`, errors at the edge."""

import json
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from jsonargparse import ArgumentParser
from pydantic import BaseModel, ValidationError

from llamaduo.cli.errors import WRONG_OPTIONS, InputError, MachineError, ServiceError
from llamaduo.cli.secrets import holds_secret, looks_secret
from llamaduo.models.gpus import check_gpus

Settings = TypeVar("Settings", bound=BaseModel)
Where = Callable[[Sequence[str | int], str], str]
"""Names the file and line of a key, which a message may name further."""

INTERRUPTED = 128 + signal.SIGINT
"""Exit status after Ctrl-C, as shells tell it."""


def run(main: Callable[..., None], description: str | None) -> None:
    """Run `main` with options made from its signature and docstring.

    Every option can also be given by `--from-config FILE` (YAML or JSON, the options' names as keys; options on
    the command line win when they come after it). A user's mistake ends in one line on standard error and exit
    status 1, wrong options in exit status 2, Ctrl-C in 130, and none of them in a traceback.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        options = parse(main, description, sys.argv[1:])
    except (ValidationError, SystemExit) as error:
        if isinstance(error, SystemExit) and not error.code:
            raise  # --help
        if isinstance(error, ValidationError):
            print(f"error: {describe(error, 'options')}", file=sys.stderr)
        print(WRONG_OPTIONS, file=sys.stderr, flush=True)
        sys.exit(2)
    try:
        check_gpus()
        main(**options)
    except (InputError, ServiceError, MachineError) as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr, flush=True)
        sys.exit(INTERRUPTED)


def parse(main: Callable[..., None], description: str | None, arguments: Sequence[str]) -> dict[str, Any]:
    """The options of `main`, typed, from a command line. Wrong ones end in a message and exit status 2, by argparse."""
    parser = ArgumentParser(description=(description or "").strip())
    parser.add_argument("--from-config", action="config", help="YAML or JSON file with these options' names as keys")
    parser.add_function_arguments(main)
    _spell_with_dashes(parser)
    _take_bare_flags(parser, main)
    options = vars(parser.instantiate(parser.parse_args(_with_lists(arguments, main))))
    options.pop("from_config", None)
    return options


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


def describe(error: ValidationError, where: str | Where, model: type[BaseModel] | None = None) -> str:
    """One line per wrong key: where it stands, what is wrong with it, and what was found there.

    `where` may be a function of a key and a message that names file and line. `model`, where it is given, is what was
    validated: an unknown key is then reported together with the known ones.
    """
    lines = []
    for problem in error.errors(include_url=False):
        place = problem["loc"]
        message = problem["msg"].removeprefix("Value error, ")
        found = problem.get("input")
        shown = f" (found {found!r})" if _may_be_shown(place, found) else ""
        if problem["type"] == "missing":
            message = "required key is missing"
        elif problem["type"] == "extra_forbidden":
            # Its value, which nothing reads, is not shown: it may be an API key.
            message, shown = "unknown key" + _instead(str(place[-1]), _known_keys(model, place[:-1])), ""
        source = where if isinstance(where, str) else where(place, message)
        lines.append(": ".join(filter(None, [source, ".".join(map(str, place)), f"{message}{shown}"])))
    return "\n".join(lines)


def _may_be_shown(place: Sequence[str | int], found: object) -> bool:
    if isinstance(found, dict | list | BaseModel):
        return False
    names = [part for part in place if isinstance(part, str)]
    return not (holds_secret(names[-1] if names else "") or looks_secret(str(found)))


def _instead(key: str, known: Sequence[str]) -> str:
    """What may have been meant by a key: the known one that is most alike, or all."""
    alike = get_close_matches(key, known, n=1)
    if alike:
        return f"; did you mean {alike[0]!r}?"
    return f"; known are {', '.join(known)}" if known else ""


def _known_keys(model: type[BaseModel] | None, place: Sequence[str | int]) -> list[str]:
    """The keys of the section at a place in a model; empty when there is no telling."""
    hints: list[Any] = [model]
    for part in place:
        # A part that leads nowhere only says which of several kinds of value was tried.
        hints = [inner for hint in hints for inner in _inside(hint, part, model)] or hints
    return [key for hint in hints if _is_model(hint) for key in hint.model_fields]


def _inside(hint: Any, part: str | int, model: type[BaseModel] | None) -> list[Any]:
    """The types that a value of type `hint` may have under a key or an index."""
    if _is_model(hint):
        field = hint.model_fields.get(str(part))
        if field is None:
            return []
        if field.annotation == dict[str, Any] and model is not None and str(part) in model.model_fields:
            return _kinds(model.model_fields[str(part)].annotation)  # changes to the section of the same name
        return _kinds(field.annotation)
    inner = get_args(hint)[-1:] if get_origin(hint) in (dict, list, tuple) else ()
    return [kind for each in inner for kind in _kinds(each)]


def _kinds(hint: Any) -> list[Any]:
    """The alternatives that a type is a union of, without annotations."""
    if get_origin(hint) is Annotated:
        return _kinds(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return [kind for each in get_args(hint) for kind in _kinds(each)]
    return [hint]


def _is_model(hint: Any) -> bool:
    return isinstance(hint, type) and get_origin(hint) is None and issubclass(hint, BaseModel)


def existing_file(path: Path, what: str) -> Path:
    """`path`, when it is a file; otherwise an `InputError` that says which file is missing."""
    if not path.is_file():
        raise InputError(f"{path}: no such file ({what})")
    return path
