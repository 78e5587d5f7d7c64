"""How long one GPU works for a local LLM: the estimate of a config's work, and what jobs ask a cluster for, rest on it.

Sizes of models are in 10^9 parameters.
"""

from llamaduo.config.estimate import EstimateSettings
from llamaduo.config.training import TrainingSettings

OPERATIONS = {"qlora": 6, "lora": 6, "full": 8}
"""Per token and parameter: forward 2, again 2 for the activations that were not kept, backward 2 for them, and 2
more for the weights' gradients where all weights are trained (Kaplan et al., 2020, arXiv 2001.08361, section 2.1)."""


def training_hours(
    size: float, own: int, volume: int, row_tokens: float, training: TrainingSettings, settings: EstimateSettings
) -> float:
    """GPU hours of one fine-tuning on the `own` rows of the train split and a volume of synthetic ones.

    `row_tokens`: mean tokens of a row, prompt and response.
    """
    if training.max_steps is None:
        examples = ((own if training.include_train else 0) + volume) * training.epochs
    else:
        examples = training.max_steps * training.batch_size * training.gradient_accumulation
    tokens = examples * min(row_tokens, training.max_length)
    operations = OPERATIONS[training.method] * size * 1e9 * tokens
    return operations / (settings.training_teraflops * 1e12) / 3600 + loading_hours(settings)


def decoding_hours(size: float, tokens: float, settings: EstimateSettings) -> float:
    """GPU hours of writing so many tokens."""
    return tokens * size / settings.decoding_rate / 3600 + loading_hours(settings)


def loading_hours(settings: EstimateSettings) -> float:
    """GPU hours of a job before its first token."""
    return settings.load_minutes / 60
