"""What all sections of the config share: unknown keys are errors, values do not change, docstrings are the docs."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the config. The docstring under each field is its documentation in the JSON schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
