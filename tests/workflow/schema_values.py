"""Other values than the present one for every key of a section of the config, found in its schema."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError

from llamaduo.config.base import Section

Key = tuple[str, ...]
# Text with all that a shell, JSON or YAML may take for its own.
TEXT = 'it\'s "one" of $HOME, `two` \\ or #3: ä'

TEMPLATE = "a template.jinja"


def other_values(section: Section, place: Key = ()) -> Iterator[tuple[Key, list[Any]]]:
    """What every key below a section may be set to: a line for each value that it should have once.

    These are all others of an enumeration and each alternative of a union. Numbers, texts and lists get one other
    value: the first of the line that is possible there.
    """
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), (*place, name)
        yield from ((key, line) for line in lines(field.annotation, value) if line != [value])
        if isinstance(value, Section):
            yield from other_values(value, key)


def lines(hint: Any, value: Any) -> Iterator[list[Any]]:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        yield from lines(inner[0], value)
    elif origin in (Union, UnionType):
        for each in inner:
            yield from lines(each, value)
    elif origin is Literal:
        yield from ([one] for one in inner)
    elif origin in (list, tuple):
        kind = inner[0]
        if get_origin(kind) is Literal:
            yield list(map(list, ([one] for one in get_args(kind))))[:1]
            yield [list(get_args(kind))]
        else:
            yield [value[:1] if isinstance(value, list | tuple) and len(value) > 1 else [TEXT]]
    elif hint is NoneType:
        yield [None]
    elif hint is bool:
        yield from ([True], [False])
    elif hint is int:
        yield [value + 1 if isinstance(value, int) else 2]
    elif hint is float:
        numbers = (value / 2 if isinstance(value, float) else 2.0, 0.05, 0.5, 50.0)
        yield [number for number in numbers if number != value]
    elif hint is str:
        yield [TEXT, "http://127.0.0.1:9", "A_VARIABLE"]
    elif hint is Path:
        yield [TEMPLATE]


def packed(
    lines: Iterable[tuple[Key, list[Any]]], bases: list[dict[str, Any]], is_possible: Callable[[dict[str, Any]], object]
) -> list[dict[str, Any]]:
    """Few settings, made of `bases`, of which each line has one value in one of them.

    Raises:
        AssertionError: A value is possible in none, so another base is needed.
    """
    made: list[tuple[dict[str, Any], set[Key]]] = [(base, set()) for base in bases]
    for key, values in lines:
        fresh = [(base, set[Key]()) for base in bases]
        for settings, used in made + fresh:
            if any(key[: len(one)] == one or one[: len(key)] == key for one in used):
                continue
            if (found := first_possible(settings, key, values, is_possible)) is not None:
                used.add(key)
                made = [(found, used) if one[1] is used else one for one in made]
                made += [] if any(one[1] is used for one in made) else [(found, used)]
                break
        else:
            raise AssertionError(f"no settings in which {'.'.join(key)} may be one of {values}")
    return [settings for settings, _ in made]


def first_possible(
    settings: dict[str, Any], key: Key, values: list[Any], is_possible: Callable[[dict[str, Any]], object]
) -> dict[str, Any] | None:
    for value in values:
        changed = with_value(settings, key, value)
        try:
            is_possible(changed)
        except ValidationError:
            continue
        return changed
    return None


def with_value(settings: dict[str, Any], key: Key, value: Any) -> dict[str, Any]:
    """Plain settings with one key below them set."""
    name, *rest = key
    below = settings.get(name) or {}
    return {
        **settings,
        name: with_value(below if isinstance(below, dict) else {}, tuple(rest), value) if rest else value,
    }
