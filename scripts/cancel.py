"""End the SLURM jobs that a workflow in a folder has begun, when no main process does it any more."""

from pathlib import Path

from llamaduo.cli.program import run


def main(*, config: Path = Path("config/config.yaml"), folder: Path = Path()) -> None:
    """Cancel the jobs. Their journals and checkpoints stay, and the next start goes on from there.

    Args:
        config: the config that the workflow runs with
        folder: the folder that it runs in
    """
    from llamaduo.cli.errors import InputError
    from llamaduo.cluster.queue import cancel, read_jobs
    from llamaduo.cluster.submitted import MAIN_PROCESS, SUBMITTED, note_end, read, read_starts
    from llamaduo.config.load import load
    from llamaduo.storage.lease import LeaseHeld, lease, record_of

    results = folder / load(folder / config).results
    if record_of(results / MAIN_PROCESS).exists():
        print("looking for a main process, up to a minute", flush=True)
    try:
        with lease(results / MAIN_PROCESS, f"the workflow in {results}"):
            sent, starts = read(results / SUBMITTED), read_starts(results / SUBMITTED, folder)
            left = [job for job in read_jobs() if job.lives and job.name in starts]
            for job in left:
                note_end(results / SUBMITTED, job.id, job.seconds)
            cancel(left)
    except LeaseHeld as error:
        raise InputError(f"{error}; it would submit the jobs again: stop it with Ctrl-C, which ends them") from None
    for job in left:
        step = f"{sent[job.id].rule}: {sent[job.id].output}" if job.id in sent else job.comment
        print(f"cancelled: job {job.id}: {step}")
    if not left:
        print("no job of this workflow lives")


if __name__ == "__main__":
    run(main, __doc__)
