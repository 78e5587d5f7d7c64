"""End the SLURM jobs that a workflow in a folder has begun, when no main process does it any more."""

from pathlib import Path

from llamaduo.program import run


def main(*, config: Path = Path("config/config.yaml"), folder: Path = Path()) -> None:
    """Cancel the jobs. Their journals and checkpoints stay, and the next start goes on from there.

    Args:
        config: the config that the workflow runs with
        folder: the folder that it runs in
    """
    from llamaduo.cluster import submitted
    from llamaduo.cluster.queue import cancel, read_jobs
    from llamaduo.config.load import load
    from llamaduo.status.steps import live_steps

    sent = submitted.read(folder / load(folder / config).results / "settings/submitted.jsonl")
    live = live_steps(sent.values(), read_jobs(), folder)
    cancel(step.job for step in live)
    for step in live:
        print(f"cancelled: job {step.job.id}: {step.rule}: {step.output}")
    if not live:
        print("no job of this workflow lives")


if __name__ == "__main__":
    run(main, __doc__)
