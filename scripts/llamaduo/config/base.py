"""What all sections of the config share: unknown keys are errors, values do not change, docstrings are the docs."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

Text = TypeVar("Text", str, Path)


class Section(BaseModel):
    """A part of the config. The docstring under each field is its documentation in the JSON schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


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
