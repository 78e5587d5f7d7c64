"""What steps ask a cluster for."""

from pathlib import Path

import pytest

from llamaduo.cluster import requests
from llamaduo.config.models import ModelSettings
from llamaduo.config.resources import ResourceSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.config.training import TrainingSettings

SETTINGS = ResourceSettings()
TRAINING = TrainingSettings()


@pytest.mark.parametrize(
    ("path", "billions"),
    [
        ("google/gemma-2b", 2),
        ("mistralai/Mistral-7B-v0.3", 7),
        ("meta-llama/Meta-Llama-3-8B", 8),
        ("Qwen/Qwen2.5-0.5B-Instruct", 0.5),
        ("someone/without-a-number", requests.ASSUMED_BILLIONS),
    ],
)
def test_the_size_of_a_model_is_what_its_name_says(path: str, billions: float) -> None:
    assert requests.billion_parameters("name", ModelSettings(path=path), SETTINGS) == billions


def test_the_size_of_a_model_in_a_folder_is_that_of_its_weights(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 3_000_000)
    assert requests.billion_parameters("name", ModelSettings(path=str(tmp_path)), SETTINGS) == pytest.approx(0.0015)


def test_a_size_in_the_config_counts_first() -> None:
    settings = ResourceSettings(billion_parameters={"name": 70})
    assert requests.billion_parameters("name", ModelSettings(path="google/gemma-2b"), settings) == 70


def test_time_grows_with_model_and_volume_and_a_small_training_asks_for_little() -> None:
    minutes = {
        (size, volume): requests.training_minutes(size, volume, TRAINING, SETTINGS)
        for size in (2, 8)
        for volume in (0, 1000, 256000)
    }
    assert minutes[2, 0] < minutes[2, 1000] < minutes[8, 1000] < minutes[2, 256000] < minutes[8, 256000]
    assert minutes[8, 1000] < 6 * 60
    assert minutes[8, 256000] > 24 * 60


def test_several_gpus_divide_the_time_of_training_but_not_of_starting() -> None:
    alone, together = (requests.training_minutes(8, 100_000, TRAINING, SETTINGS, gpus) for gpus in (1, 4))
    assert (together - SETTINGS.start_minutes) * 4 == pytest.approx(alone - SETTINGS.start_minutes, rel=0.01)


def test_minutes_on_several_gpus_are_those_of_one_without_starting_divided() -> None:
    start = SETTINGS.start_minutes
    assert [requests.minutes_on_gpus(start + 100, gpus, SETTINGS) for gpus in (1, 2, 4)] == [
        start + 100,
        start + 50,
        start + 25,
    ]


def test_the_time_of_calls_follows_the_limit_of_the_service() -> None:
    slow, fast = (
        requests.service_minutes(
            4000, ServiceSettings(provider="openai", model="m", requests_per_minute=limit), SETTINGS
        )
        for limit in (50, 500)
    )
    assert slow == SETTINGS.start_minutes + 120
    assert fast < slow


def test_memory_grows_by_the_times_that_it_ran_out() -> None:
    assert [requests.grown(1000, times, SETTINGS) for times in range(3)] == [1000, 1500, 2250]
