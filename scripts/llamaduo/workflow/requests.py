"""How much memory and time a step is asked for, from what it is to do: the estimate of its work, and margins."""

import math

from llamaduo.config.estimate import EstimateSettings
from llamaduo.config.resources import ResourceSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.estimate.gpu_hours import decoding_hours, training_hours
from llamaduo.estimate.model_size import weights_bytes

BYTES_PER_PAIR = 20_000
"""What one pair takes in curation and training, with its tokens, shingles and row objects."""
SECONDS_PER_PAIR = 0.02
"""Curation of one pair: tokens, MinHash, candidates and ROUGE, on one core of an ordinary node."""
MERGE_MINUTES = 5
"""Per 10^9 parameters: 2 GB are read, multiplied in 32 bits, compared and written; assumed, for a slow file system."""


def training_minutes(
    size: float, volume: int, training: TrainingSettings, assumed: EstimateSettings, settings: ResourceSettings
) -> int:
    """Time of one fine-tuning of a model of `size` 10^9 parameters, on one GPU."""
    row = assumed.prompt_tokens + assumed.response_tokens
    hours = training_hours(size, assumed.train_rows, volume, row, training, assumed)
    return _minutes(hours * 60, settings)


def response_minutes(
    size: float, samples: int, max_new_tokens: int, assumed: EstimateSettings, settings: ResourceSettings
) -> int:
    """Time of K responses to every test prompt, each as long as it may be."""
    hours = decoding_hours(size, assumed.test_rows * samples * max_new_tokens, assumed)
    return _minutes(hours * 60, settings)


def merge_minutes(size: float, settings: ResourceSettings) -> int:
    """Time to merge an adapter into a model of `size` 10^9 parameters on one core, and to verify and save it."""
    return _minutes(size * MERGE_MINUTES, settings)


def service_minutes(calls: int, service: ServiceSettings, settings: ResourceSettings) -> int:
    """Time of so many calls of a service, at the pace that its limits or its answers set."""
    per_minute = service.concurrency * 60 / settings.service_seconds
    if service.requests_per_minute:
        per_minute = min(per_minute, service.requests_per_minute)
    return _minutes(calls / per_minute, settings)


def curation_minutes(pairs: int, settings: ResourceSettings) -> int:
    """Time to curate a pool of so many pairs."""
    return _minutes(pairs * SECONDS_PER_PAIR / 60, settings)


def minutes_on_gpus(minutes: int, gpus: int, settings: ResourceSettings) -> int:
    """Time on several GPUs of what takes so long on one: they divide the time of the steps, not that of starting."""
    return settings.start_minutes + math.ceil((minutes - settings.start_minutes) / gpus)


def model_mb(size: float, settings: ResourceSettings, pairs: int = 0, copies: float | None = None) -> int:
    """Main memory of a step that loads a model of `size` 10^9 parameters, in MB."""
    weights = weights_bytes(size) * (copies or settings.weights_copies)
    return settings.base_mb + math.ceil((weights + pairs * BYTES_PER_PAIR) / 1e6)


def table_mb(pairs: int, least: int) -> int:
    """Main memory of a step that holds so many pairs, in MB."""
    return least + math.ceil(pairs * BYTES_PER_PAIR / 1e6)


def grown(megabytes: int, times: int, settings: ResourceSettings) -> int:
    """A request for memory after the step has run out of it so many times."""
    return math.ceil(megabytes * settings.memory_growth**times)


def _minutes(estimate: float, settings: ResourceSettings) -> int:
    return settings.start_minutes + math.ceil(estimate * settings.margin)
