"""Fine-tune a local LLM on a dataset; a stopped or killed training continues when the same command is given again."""

import sys
from pathlib import Path

from llamaduo.cli.program import run
from llamaduo.config.models import ModelSettings
from llamaduo.config.training import TrainingSettings

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
    time_limit: float | None = None,
    attempt: int = 1,
    job_began: float | None = None,
) -> None:
    """Fine-tune a model.

    Exit status 75: stopped at a checkpoint by the time limit or a signal; give the command again to continue.

    Args:
        dataset: Parquet table of conversations to learn the last responses of.
        model: The base model: path, revision, family.
        adapter: Folder to be written: the adapter (or whole model), tokenizer, chat template, training.json.
        training: Parquet table to be written: losses and learning rate by step.
        state: Folder for unfinished trainings.
        settings: Method and hyperparameters.
        warm_start: Adapter to start from instead of the base model alone.
        time_limit: Minutes from the start of this SLURM job, or from now, until it is ended; the training stops before.
        attempt: How often this was tried since the workflow was started, this time included.
        job_began: When this job began, in seconds since 1970; by default it is looked up.
    """
    from llamaduo.training.continuation import UNFINISHED_STATUS, begin, record_of, recorded
    from llamaduo.training.deadline import Unfinished
    from llamaduo.training.processes import (
        WorkerFailed,
        check_processes,
        is_sharded,
        is_worker,
        launch,
        use_one_gpu,
    )

    record = record_of(state, adapter)
    if not is_worker():
        begin(record, attempt, settings.continuations, settings.failures)
    try:
        if settings.hardware.processes > 1 and not is_worker():
            with recorded(record):
                check_processes(settings)
                sharded = is_sharded(model, settings)
            launch(Path(__file__), sys.argv[1:], settings.hardware.processes, sharded, record)
            return
        if not is_worker():
            use_one_gpu()
        with recorded(record):
            from llamaduo.training.finetune import finetune

            finetune(
                dataset=dataset,
                model=model,
                settings=settings,
                adapter=adapter,
                training=training,
                state=state,
                warm_start=warm_start,
                time_limit=time_limit,
                job_began=job_began,
            )
    except WorkerFailed as failure:
        print(f"error: {failure}", file=sys.stderr, flush=True)
        sys.exit(1)
    except Unfinished as stop:
        if not is_worker():
            print(f"unfinished: {stop}; the same command continues it", file=sys.stderr, flush=True)
        sys.exit(0 if is_worker() and not stop.alone else UNFINISHED_STATUS)


if __name__ == "__main__":
    run(main, __doc__)
