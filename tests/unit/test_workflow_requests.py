"""What steps ask a cluster for."""

import pytest

from llamaduo.config.estimate import EstimateSettings
from llamaduo.config.resources import ResourceSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.workflow import requests

ASSUMED, SETTINGS = EstimateSettings(), ResourceSettings()
TRAINING = TrainingSettings()


def test_time_grows_with_model_and_volume_and_a_small_training_asks_for_little() -> None:
    minutes = {
        (size, volume): requests.training_minutes(size, volume, TRAINING, ASSUMED, SETTINGS)
        for size in (2, 8)
        for volume in (0, 1000, 256000)
    }
    assert minutes[2, 0] < minutes[2, 1000] < minutes[8, 1000] < minutes[2, 256000] < minutes[8, 256000]
    assert minutes[8, 1000] < 6 * 60
    assert minutes[8, 256000] > 24 * 60


def test_times_asked_for_follow_the_speeds_of_the_estimate_times_the_margin() -> None:
    fast = EstimateSettings(training_teraflops=750, decoding_rate=30_000, load_minutes=0)
    slow = EstimateSettings(training_teraflops=75, decoding_rate=3000, load_minutes=0)
    twice = ResourceSettings(margin=2 * SETTINGS.margin)

    def beyond_start(assumed: EstimateSettings, settings: ResourceSettings) -> list[int]:
        training = requests.training_minutes(8, 100_000, TRAINING, assumed, settings)
        responses = requests.response_minutes(8, 400, 1024, assumed, settings)
        return [minutes - settings.start_minutes for minutes in (training, responses)]

    assert beyond_start(slow, SETTINGS) == pytest.approx([10 * each for each in beyond_start(fast, SETTINGS)], rel=0.05)
    assert beyond_start(slow, twice) == pytest.approx([2 * each for each in beyond_start(slow, SETTINGS)], rel=0.01)


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
    assert slow == SETTINGS.start_minutes + 80 * SETTINGS.margin
    assert fast < slow


def test_steps_that_ask_at_the_same_time_share_the_limits_of_the_service() -> None:
    service = ServiceSettings(
        provider="openai", model="m", requests_per_minute=100, tokens_per_minute=9, concurrency=3, steps_at_once=4
    )

    part = service.of_one_step()

    assert (part.requests_per_minute, part.tokens_per_minute, part.concurrency) == (25, 2.25, 1)
    alone = ServiceSettings(provider="openai", model="m")
    assert alone.of_one_step() == alone


def test_memory_grows_by_the_times_that_it_ran_out() -> None:
    assert [requests.grown(1000, times, SETTINGS) for times in range(3)] == [1000, 1500, 2250]
