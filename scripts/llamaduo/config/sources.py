"""The YAML files that a config is read from, and the lines that its keys stand on.

Snakemake reads the same files itself, but keeps the last of two equal keys and tells neither file nor line.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from llamaduo.cli.errors import InputError

Key = str | int
MERGE_TAG = "tag:yaml.org,2002:merge"
ENCODING_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@dataclass
class Lines:
    """The line of a value, and those of what is in it; None for values that come from no file."""

    line: int | None = None
    inside: dict[Key, "Lines"] = field(default_factory=dict)

    def follow(self, place: Sequence[Key], text: str = "") -> list["Lines"]:
        """The values on the way to a place, as far as they are there.

        `text` may name the rest of the way as a message does: "chat.volumes: ...".
        """
        way = [self]
        for part in place:
            # A part that leads nowhere only says which of several kinds of value was tried.
            way += [way[-1].inside[part]] if part in way[-1].inside else []
        named = text.split(": ", 1)[0]
        while found := next((key for key in way[-1].inside if f"{named}.".startswith(f"{key}.")), None):
            named = named.removeprefix(str(found)).removeprefix(".")
            way.append(way[-1].inside[found])
        return way


@dataclass(frozen=True)
class Source:
    """Where values of a config come from: a file, or the command line."""

    name: str
    lines: Lines
    values: Any = None


class Sources(list[Source]):
    """The sources that make up one config; of a key that several have, the last one counts."""

    def where(self, place: Sequence[Key], text: str = "") -> str:
        """File and line of a place in the config, or of what is nearest to it."""
        found = [(len(way := source.lines.follow(place, text)), way[-1].line, source.name) for source in self]
        longest = max(depth for depth, _, _ in found)
        _, line, name = next(one for one in reversed(found) if one[0] == longest)
        return f"{name}:{line}" if line else name


def read(path: Path, what: str = "the config") -> Source:
    """A YAML or JSON file. Raises `InputError`, with the line, for what is not UTF-8, not YAML, or has a key twice.

    `what` tells what is missing when there is no such file.
    """
    name = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    text = _decoded(path, name, what)
    # YAML forbids the tabs that JSON allows between its tokens.
    is_json = _is_json(text)
    loader = yaml.SafeLoader(text.replace("\t", " ") if is_json else text)
    try:
        node = loader.get_single_node()
        if node is None:
            return Source(name, Lines())
        lines = _lines(node, name, {})
        return Source(name, lines, json.loads(text) if is_json else loader.construct_document(node))
    except yaml.MarkedYAMLError as error:
        # Not the error's own text, which quotes the line: there may be a key in it.
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise InputError(f"{name}{line}: not YAML: {error.problem or error.context}") from None
    except ValueError as error:  # a date that there is not
        raise InputError(f"{name}: not YAML: {error}") from None
    finally:
        loader.dispose()


def read_all(paths: Sequence[Path | str], given: Mapping[str, Any] | None = None) -> Sources:
    """The files of a config in the order in which they are merged, and what the option `--config` gives."""
    sources = Sources(read(Path(path)) for path in paths)
    return Sources([*sources, Source("--config", _lines_of_values(given))]) if given else sources


def refuse_unreadable(arguments: Sequence[str]) -> None:
    """Raise `InputError` for a config file on Snakemake's command line that cannot be read.

    Snakemake reads these before it reads the Snakefile, and ends in a traceback or without the file's name.
    """
    for number, argument in enumerate(arguments):
        option, _, value = argument.partition("=")
        if option in ("--configfile", "--configfiles"):
            rest = takewhile(lambda one: not one.startswith("-"), arguments[number + 1 :])
            read_all([value] if value else list(rest))


def _decoded(path: Path, name: str, what: str) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{name}: no such file ({what})") from None
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}") from None
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        found = ENCODING_MARKS.get(raw[:2], f"byte {raw[error.start]:#04x}")
        raise InputError(f"{name}:{line}: not UTF-8 (found {found}): save the file in the encoding UTF-8") from None
    if forbidden := yaml.reader.Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, forbidden.start()) + 1
        raise InputError(f"{name}:{line}: not YAML: the character {forbidden[0]!r} is not allowed")
    return text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _lines(node: yaml.Node, name: str, seen: dict[int, Lines]) -> Lines:
    """The lines of a node and what is in it; raises `InputError` for a key that a mapping has twice."""
    if id(node) in seen:  # an alias, which may even be part of what it stands for
        return seen[id(node)]
    lines = seen[id(node)] = Lines(node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        lines.inside = {number: _lines(value, name, seen) for number, value in enumerate(node.value)}
    elif isinstance(node, yaml.MappingNode):
        first: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            line, identity = key.start_mark.line + 1, (key.tag, str(key.value))
            if identity in first:
                raise InputError(
                    f"{name}:{line}: {key.value}: the key is also on line {first[identity]}; remove one of the two"
                )
            first[identity] = line
            lines.inside |= _merged(value, name, seen) if key.tag == MERGE_TAG else {}
        lines.inside |= dict(_keys(node, name, seen))
    return lines


def _keys(node: yaml.MappingNode, name: str, seen: dict[int, Lines]) -> Iterator[tuple[Key, Lines]]:
    for key, value in node.value:
        if key.tag != MERGE_TAG:
            # A key's own line, not that of a value that begins below it.
            yield str(key.value), Lines(key.start_mark.line + 1, _lines(value, name, seen).inside)


def _merged(node: yaml.Node, name: str, seen: dict[int, Lines]) -> dict[Key, Lines]:
    """What `<<` brings into a mapping; of several, the first wins."""
    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    return {key: lines for one in reversed(nodes) for key, lines in _lines(one, name, seen).inside.items()}


def _lines_of_values(values: Any) -> Lines:
    if not isinstance(values, Mapping):
        return Lines()
    return Lines(None, {key: _lines_of_values(value) for key, value in values.items()})
