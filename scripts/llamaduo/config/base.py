"""What all sections of the config share: unknown keys are errors, values do not change, docstrings are the docs."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the config. The docstring under each field is its documentation in the JSON schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

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
