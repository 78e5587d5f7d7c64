"""What a model card says beside the artifacts: where things came from, by the names of the config."""

from typing import Any

from llamaduo.config.base import Section


class CardFacts(Section):
    """Where a model came from."""

    coverage: str = ""
    """Source of the coverage dataset."""
    generator: str = ""
    """The generator's provider and model."""
    judges: dict[str, str] = {}
    """The judges by name: provider and model."""
    simulated: list[str] = []
    """Names of the services that were simulated."""
    settings: dict[str, Any] = {}
    """Further settings to be shown, such as those of inference, judging and decision."""
