"""Fine-tune a local LLM on a dataset; a killed training continues when the same command is given again."""

from pathlib import Path

from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings
from llamaduo.program import run

PRESET = TrainingSettings()


def main(
    *,
    dataset: Path,
    model: ModelSettings,
    adapter: Path,
    training: Path,
    state: Path,
    settings: TrainingSettings = PRESET,
    warm_start: Path | None = None,
) -> None:
    """Fine-tune a model.

    Args:
        dataset: Parquet table of conversations to learn the last responses of.
        model: The base model: path, revision, family.
        adapter: Folder to be written: the adapter (or whole model), tokenizer, chat template, training.json.
        training: Parquet table to be written: losses and learning rate by step.
        state: Folder for unfinished trainings.
        settings: Method and hyperparameters.
        warm_start: Adapter to start from instead of the base model alone.
    """
    from llamaduo.training.finetune import finetune

    finetune(
        dataset=dataset,
        model=model,
        settings=settings,
        adapter=adapter,
        training=training,
        state=state,
        warm_start=warm_start,
    )


if __name__ == "__main__":
    run(main, __doc__)
