"""What each step's program is given beside its files: one typed view per kind of step.

A rule's params compare `compared(view)`; `UNCOMPARED` names what cannot change the step's result, and why.
"""

from pathlib import Path

from llamaduo.config.asking import AskingStep
from llamaduo.config.base import Section
from llamaduo.config.coverage import CoverageSettings
from llamaduo.config.curation import CurationSettings
from llamaduo.config.decision import DecisionSettings, MetricsSettings
from llamaduo.config.inference import InferenceSettings
from llamaduo.config.judging import JudgingSettings
from llamaduo.config.models import ModelSettings
from llamaduo.config.services import ServiceSettings
from llamaduo.config.synthesis import SynthesisSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.deployment.facts import CardFacts
from llamaduo.service.prompts import JudgePrompts, PromptText

PLACE = "where it is kept changes no result"
DIGEST = "what lies there is compared by its digest"
WEIGHTS = {
    f"model.{name}": DIGEST for name in ("path", "revision", "kind", "base", "base_revision", "family", "chat_template")
}
"""Of a model: its weights, tokenizer and chat format, which are compared wherever they lie."""
ASKING = {"asking": "how a call is paid for and recorded changes no answer"}


class CoverageStep(Section):
    """Cuts a task's splits from the coverage dataset."""

    UNCOMPARED = {"settings.source": DIGEST}

    settings: CoverageSettings
    categories: list[str]


class SynthesizeStep(Section):
    """Has a generator write chunks of pairs."""

    UNCOMPARED = ASKING | {
        "service.generation.judge": "another role",
        "service.generation.baseline": "another role",
        "settings.minimum_yield": "when a volume is given up; see MeasureStep",
    }

    service: ServiceSettings
    settings: SynthesisSettings
    prompts: PromptText
    topic: str
    seed: int
    asking: AskingStep


class CurateStep(Section):
    """Curates a pool."""

    UNCOMPARED = {"state": PLACE}

    settings: CurationSettings
    state: Path


class MeasureStep(Section):
    """Measures whether a pool has reached a volume."""

    settings: SynthesisSettings


class DatasetStep(Section):
    """Builds the dataset of a volume."""

    include_train: bool


class FinetuneStep(Section):
    """Fine-tunes a model."""

    UNCOMPARED = WEIGHTS | {
        "model.generation": "sampling",
        "settings.include_train": "acts through the dataset",
        "settings.warm_start": "acts through the adapter that is an input",
        "state": PLACE,
    }

    model: ModelSettings
    settings: TrainingSettings
    state: Path


class RespondStep(Section):
    """Has a local LLM answer the test prompts."""

    UNCOMPARED = WEIGHTS | {"state": PLACE}

    model: ModelSettings
    settings: InferenceSettings
    state: Path


class BaselineStep(Section):
    """Has a service LLM answer the test prompts."""

    UNCOMPARED = ASKING | {
        "service.generation.judge": "another role",
        "service.generation.generator": "another role",
    }

    service: ServiceSettings
    samples: int
    asking: AskingStep


class JudgeStep(Section):
    """Has a judge grade responses."""

    UNCOMPARED = ASKING | {
        "service.generation.generator": "another role",
        "service.generation.baseline": "another role",
    }

    service: ServiceSettings
    settings: JudgingSettings
    prompts: JudgePrompts
    asking: AskingStep


class AwaitStep(Section):
    """Waits for a service's batches."""

    UNCOMPARED = ASKING | {"service": "how long answers take changes none"}

    service: ServiceSettings
    asking: AskingStep


class MetricsStep(Section):
    """Computes V and C."""

    settings: MetricsSettings
    metrics: list[str]


class DecideStep(Section):
    """Decides after a cycle."""

    settings: DecisionSettings


class DeployStep(Section):
    """Merges and describes a converged model."""

    UNCOMPARED = WEIGHTS | {"card": "what it rests on is in the inputs", "model.generation": "sampling"}

    model: ModelSettings
    names: dict[str, str]
    card: CardFacts
