"""Every value of a setting's enumeration works in the program that reads it, or is refused there in one line."""

import dataclasses
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
from commands import main_of
from schema_values import TEXT, first_possible, other_values
from workspace import Workspace

from llamaduo.cli.errors import InputError, MachineError
from llamaduo.config.base import Section
from llamaduo.config.curation import CurationSettings
from llamaduo.config.decision import DecisionSettings, MetricsSettings
from llamaduo.config.inference import InferenceSettings
from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings

SMALL: dict[type[Section], dict[str, Any]] = {
    CurationSettings: {},
    TrainingSettings: {"max_steps": 1, "epochs": 1},
    InferenceSettings: {"samples": 1, "max_new_tokens": 4},
    MetricsSettings: {"bootstrap_samples": 100},
    DecisionSettings: {},
}
# What this machine cannot do (kernels of GPUs, packages that are not installed), and names of nothing that is here.
REFUSED = {
    (TrainingSettings, "hardware.attention", "flash_attention_3"),
    (TrainingSettings, "hardware.attention", "flash_attention_2"),
    (TrainingSettings, "hardware.attention", "varlen"),
    (TrainingSettings, "hardware.liger", True),
    (TrainingSettings, "lora.target_modules", TEXT),
    (TrainingSettings, "report_to", TEXT),
    (InferenceSettings, "engine", "vllm"),
}


def cases() -> list[Any]:
    found = []
    for kind, sizes in SMALL.items():
        for key, values in other_values(kind.model_validate(sizes)):
            changed = first_possible(sizes, key, values, kind.model_validate)
            assert changed is not None, key
            name, shown = ".".join(key), reduce(getitem, key, changed)
            if isinstance(shown, int | float) and not isinstance(shown, bool):
                continue
            refused = any((kind, name) == one[:2] and shown in (one[2], [one[2]]) for one in REFUSED)
            settings = kind.model_validate(changed)
            found.append(pytest.param(settings, refused, id=f"{kind.__name__}-{name}-{shown!s:.20}"))
    return found


@dataclasses.dataclass
class Finished:
    """The artifacts of a finished cycle that a step is repeated on, and where it writes."""

    swept: Workspace
    output: Path

    def options_for(self, settings: Section) -> tuple[str, dict[str, Any]]:
        """The program that reads some settings, and its other options."""
        path, output = self.swept.path, self.output
        model = ModelSettings(path=self.swept.config["models"]["llama"]["path"])
        cycle = path("runs/animals/writer/llama/volume-12")
        train, test = (path(f"coverage/animals/{split}.parquet") for split in ("train", "test"))
        if isinstance(settings, CurationSettings):
            chunks = sorted(path("synthesis/animals/writer").glob("chunk-*.parquet"))
            return "curate", {"input": chunks, "train": train, "test": test, "output": output / "pool.parquet"}
        if isinstance(settings, TrainingSettings):
            dataset = path("datasets/animals/writer/volume-12.parquet")
            written = {
                "adapter": output / "adapter",
                "training": output / "training.parquet",
                "state": output / "state",
            }
            return "finetune", {"dataset": dataset, "model": model, **written}
        if isinstance(settings, InferenceSettings):
            written = {"output": output / "responses.parquet", "state": output / "state"}
            adapter = cycle / "adapter"
            return "respond", {"prompts": test, "model": model, "model_name": "llama", "adapter": adapter, **written}
        if isinstance(settings, MetricsSettings):
            metrics = self.swept.config.get("judging", {}).get("metrics", ["similarity", "precision"])
            grades = [cycle / "grades/grader.parquet"]
            return "metrics", {"grades": grades, "metrics": metrics, "output": output / "metrics.parquet"}
        names = {"task": "animals", "generator": "writer", "model": "llama"}
        measured = {
            "metrics": cycle / "metrics.parquet",
            "service_metrics": path("baselines/animals/writer/metrics.parquet"),
        }
        return "decide", {**names, **measured, "volume": 12, "output": output / "decision.json"}


@pytest.mark.parametrize(("settings", "refused"), cases())
def test_a_value_works_or_is_refused(settings: Section, refused: bool, swept: Workspace, tmp_path: Path) -> None:
    program, options = Finished(swept, tmp_path).options_for(settings)

    if refused:
        with pytest.raises((InputError, MachineError)) as error:
            main_of(program)(settings=settings, **options)
        assert "\n" not in str(error.value)
    else:
        main_of(program)(settings=settings, **options)
        assert [file for file in tmp_path.iterdir() if file.name != "state"]
