"""What all sections of the config share: unknown keys are errors, values do not change, docstrings are the docs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Text = TypeVar("Text", str, Path)


class Section(BaseModel):
    """A part of the config. The docstring under each field is its documentation in the JSON schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)

    UNCOMPARED: ClassVar[Mapping[str, str]] = {}
    """Fields that cannot change a result, each with the reason; a dotted name means a field of a field."""

    def derived(self) -> dict[str, Any]:
        """What can change a result and follows from fields that are not compared themselves."""
        return {}


def compared(section: Section, left_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What of a section can change a result, as JSON values: all fields but those of `UNCOMPARED` and `left_out`."""
    out = left_out | set(section.UNCOMPARED)
    values = section.model_dump(mode="json", exclude={name for name in out if "." not in name})
    for name in values:
        value = getattr(section, name)
        if isinstance(value, Section):
            inside = (dotted.partition(".") for dotted in out)
            values[name] = compared(value, frozenset(rest for first, _, rest in inside if first == name and rest))
    return values | section.derived()


def _no_fraction(value: Any) -> Any:
    if isinstance(value, int | float) and 0 < value < 1:
        raise ValueError(f"percent are meant: {100 * value:g}, not {value:g}")
    return value


def _no_fraction_or_one(value: Any) -> Any:
    if value == 1:
        raise ValueError("percent are meant: 100, not 1")
    return _no_fraction(value)


LowPercent = Annotated[float, BeforeValidator(_no_fraction)]
"""Percent of which 1 is a sensible number. A value between 0 and 1 is refused: a fraction, written by mistake."""
Percent = Annotated[float, BeforeValidator(_no_fraction_or_one)]
"""Percent of which 1 is hardly ever meant: it is refused as well, as the fraction that stands for the whole."""
Score = Annotated[float, Field(ge=0, le=100), BeforeValidator(_no_fraction_or_one)]
"""A score of 0 to 100, or a share of scores in percent; above 0 and up to 1 it is refused as a fraction."""


def _no_braces(value: Text) -> Text:
    if {"{", "}"} & set(str(value)):
        raise ValueError("a brace cannot be part of a path or a name here: Snakemake takes {word} for a wildcard")
    return value


PathText = Annotated[str, AfterValidator(_no_braces)]
"""The path or the name of a file or folder."""
PathOfFile = Annotated[Path, AfterValidator(_no_braces)]
