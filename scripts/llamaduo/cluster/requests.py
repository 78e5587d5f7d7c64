"""How much memory and time a step is asked for, from what it is to do: plain arithmetic on the settings."""

import math
import re
from pathlib import Path

from llamaduo.config.models import ModelSettings
from llamaduo.config.resources import ResourceSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.config.training import TrainingSettings

ASSUMED_BILLIONS = 8.0
BYTES_PER_PARAMETER = 2  # bf16
BYTES_PER_PAIR = 20_000
"""What one pair takes in curation and training, with its tokens, shingles and row objects."""
SECONDS_PER_PAIR = 0.02
"""Curation of one pair: tokens, MinHash, candidates and ROUGE, on one core of an ordinary node."""


def billion_parameters(name: str, model: ModelSettings, settings: ResourceSettings) -> float:
    """The size of a model in 10^9 parameters: as set, as its weights are, as its path says, or a guess."""
    if name in settings.billion_parameters:
        return settings.billion_parameters[name]
    folder = Path(model.path).expanduser()
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors")) if folder.is_dir() else 0
    if weights and model.kind != "adapter":
        return weights / BYTES_PER_PARAMETER / 1e9
    told = re.search(r"(\d+(?:\.\d+)?)\s*[bB](?![A-Za-z])", model.base or model.path)
    return float(told.group(1)) if told else ASSUMED_BILLIONS


def training_minutes(
    billions: float, volume: int, training: TrainingSettings, settings: ResourceSettings, gpus: int = 1
) -> int:
    """Time of one fine-tuning; with more GPUs the time of the steps is divided, that of starting is not."""
    rows = settings.train_rows + volume
    per_step = training.batch_size * training.gradient_accumulation
    examples = training.max_steps * per_step if training.max_steps else rows * training.epochs
    tokens = examples * min(settings.tokens_per_example, training.max_length)
    operations = tokens * billions * 1e9 * settings.operations_per_parameter
    return _minutes(operations / (settings.training_teraflops * 1e12) / 60 / max(gpus, 1), settings)


def response_minutes(billions: float, samples: int, max_new_tokens: int, settings: ResourceSettings) -> int:
    """Time of K responses to every test prompt."""
    share = (samples / 4) * (max_new_tokens / 1024)
    return _minutes(settings.inference_minutes_per_billion * billions * share, settings)


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


def model_mb(billions: float, settings: ResourceSettings, pairs: int = 0, copies: float | None = None) -> int:
    """Main memory of a step that loads a model, in MB."""
    weights = billions * 1e9 * BYTES_PER_PARAMETER * (copies or settings.weights_copies)
    return settings.base_mb + math.ceil((weights + pairs * BYTES_PER_PAIR) / 1e6)


def table_mb(pairs: int, least: int) -> int:
    """Main memory of a step that holds so many pairs, in MB."""
    return least + math.ceil(pairs * BYTES_PER_PAIR / 1e6)


def grown(megabytes: int, times: int, settings: ResourceSettings) -> int:
    """A request for memory after the step has run out of it so many times."""
    return math.ceil(megabytes * settings.memory_growth**times)


def _minutes(estimate: float, settings: ResourceSettings) -> int:
    return settings.start_minutes + math.ceil(estimate * settings.margin)
