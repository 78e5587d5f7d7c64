"""What steps ask for, and how the site bounds it."""

from typing import Any

from workflow_config import a_config

from llamaduo.workflow.resources import Requests, service_slot, step_key
from llamaduo.workflow.site import Site

TRAINING = ("animals", "other", "10")


def requests(site: Site | None = None, **sections: Any) -> Requests:
    return Requests(a_config(**sections), site or Site())


def test_a_training_gets_the_gpus_of_the_site_before_those_of_the_config() -> None:
    of_config: dict[str, Any] = {"training": {"hardware": {"processes": 2}}}

    assert requests(**of_config).gpus_of_training(*TRAINING) == 2
    assert requests(Site(large_model_gpus=4), **of_config).gpus_of_training(*TRAINING) == 4
    assert requests(Site(large_model_gpus=4), **of_config).gpus_of_training("animals", "tiny", "10") == 2
    assert requests(Site(gpus={"other": 8}, large_model_gpus=4)).gpus_of_training(*TRAINING) == 8


def test_more_gpus_take_less_time_and_more_memory_and_cores() -> None:
    one, four = requests(), requests(Site(gpus={"other": 4}, cores_per_gpu=8))

    assert four.minutes_of_training(*TRAINING) < one.minutes_of_training(*TRAINING)
    assert four.mb_of_training(*TRAINING) == 4 * one.mb_of_training(*TRAINING)
    assert four.cores_of_training(*TRAINING) == 32


def test_no_request_is_above_what_the_site_allows() -> None:
    bound = requests(Site(longest_minutes=7, largest_mb=900))

    assert bound.minutes_of_training(*TRAINING) == 7
    assert bound.minutes_of_responses("animals", "other") == 7
    assert bound.memory(bound.mb_of_model("other"), 0) == 900


def test_a_step_that_ran_out_of_memory_asks_for_more() -> None:
    asked = [requests().memory(1000, times) for times in range(3)]

    assert asked[0] == 1000
    assert asked == sorted(set(asked))


def test_a_large_volume_takes_more_memory_and_time() -> None:
    assert requests().mb_of_dataset("100000") > requests().mb_of_dataset("10")
    assert requests().minutes_of_curation("500") > requests().minutes_of_curation("1")


def test_names_of_steps_and_slots() -> None:
    assert step_key("judge", {"subject": "a/b", "judge": "c"}) == "judge judge=c subject=a/b"
    assert service_slot("gpt-4.1") == "service_gpt_4_1"
