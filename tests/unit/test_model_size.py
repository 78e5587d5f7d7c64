"""How large a model is, and how long a GPU works for it."""

import json
from pathlib import Path

import pytest

from llamaduo.config.estimate import EstimateSettings
from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.estimate.gpu_hours import training_hours
from llamaduo.estimate.model_size import ASSUMED_BILLIONS, billion_parameters

SETTINGS = EstimateSettings()


@pytest.mark.parametrize(
    ("path", "billions"),
    [
        ("google/gemma-2b", 2),
        ("mistralai/Mistral-7B-v0.3", 7),
        ("meta-llama/Meta-Llama-3-8B", 8),
        ("Qwen/Qwen2.5-0.5B-Instruct", 0.5),
        ("org/model_3b", 3),
        ("org/some-model-4bit", ASSUMED_BILLIONS),
        ("org/without-a-number", ASSUMED_BILLIONS),
    ],
)
def test_the_size_of_a_model_is_what_its_name_says_or_assumed(path: str, billions: float) -> None:
    assert billion_parameters("name", ModelSettings(path=path), SETTINGS) == billions


@pytest.mark.parametrize(
    ("config", "billions"), [({}, 0.0015), ({"dtype": "float32"}, 0.00075), ({"torch_dtype": "bfloat16"}, 0.0015)]
)
def test_the_size_of_a_model_in_a_folder_is_that_of_its_weights(
    tmp_path: Path, config: dict[str, str], billions: float
) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 3_000_000)
    (tmp_path / "config.json").write_text(json.dumps(config))

    assert billion_parameters("name", ModelSettings(path=str(tmp_path)), SETTINGS) == pytest.approx(billions)


def test_an_adapter_is_as_large_as_its_base() -> None:
    adapter = ModelSettings(path="org/adapter-of-1b-rows", kind="adapter", base="google/gemma-7b")

    assert billion_parameters("name", adapter, SETTINGS) == 7


def test_a_size_in_the_config_counts_first() -> None:
    settings = EstimateSettings(billion_parameters={"name": 70})

    assert billion_parameters("name", ModelSettings(path="google/gemma-2b"), settings) == 70


def test_a_training_takes_the_time_of_its_examples_whether_epochs_or_steps_are_set() -> None:
    def beyond_loading(**keys: object) -> float:
        training = TrainingSettings.model_validate(keys)
        return training_hours(8, 400, 4000, 500, training, SETTINGS) - SETTINGS.load_minutes / 60

    once = beyond_loading(epochs=1)
    assert once == pytest.approx(4400 * 500 * 8e9 * 6 / 75e12 / 3600)
    assert beyond_loading(epochs=3) == pytest.approx(3 * once)
    assert beyond_loading(epochs=1, include_train=False) == pytest.approx(once * 4000 / 4400)
    assert beyond_loading(max_steps=550, batch_size=4, gradient_accumulation=2) == pytest.approx(once)
    assert beyond_loading(epochs=1, max_length=250) == pytest.approx(once / 2)
    assert beyond_loading(epochs=1, method="full") > once
