"""A small config for tests of the workflow layer."""

from pathlib import Path
from typing import Any

from llamaduo.config.root import Config

REPOSITORY = Path(__file__).resolve().parents[2]


def a_config(**sections: Any) -> Config:
    values: dict[str, Any] = {
        "coverage": {"source": "pairs"},
        "tasks": {"animals": {"generators": ["writer"], "volumes": [0, 10, 20]}},
        "services": {
            "writer": {"provider": "openai", "model": "m"},
            "grader": {"provider": "gemini", "model": "m"},
        },
        "models": {"tiny": {"path": "models/tiny"}, "other": {"path": "models/other"}},
        "judges": ["grader"],
        "estimate": {"billion_parameters": {"tiny": 2, "other": 8}},
    }
    return Config.model_validate({**values, **sections})
