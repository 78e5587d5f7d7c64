"""Show the grid of runs as it stands, while the workflow runs or when it does not."""

from pathlib import Path

from llamaduo.cli.program import run


def main(*, config: Path = Path("config/config.yaml"), folder: Path = Path(), usage: bool = False) -> None:
    """Print one line per run, the dollars spent, the failed steps with their logs' ends, and what jobs have used.

    Args:
        config: the config that the workflow runs with
        folder: the folder that it runs in
        usage: print only what the jobs asked for and used
    """
    import os

    from llamaduo.cli.errors import ServiceError
    from llamaduo.cluster import submitted
    from llamaduo.cluster.queue import read_jobs
    from llamaduo.config.load import load
    from llamaduo.report.plan import make_plan
    from llamaduo.report.reading import Reader
    from llamaduo.report.results import read_results
    from llamaduo.status.budget import budget_lines
    from llamaduo.status.grid import failures, grid_table, other_steps
    from llamaduo.status.spending import read_spent, spending_table
    from llamaduo.status.steps import live_steps, read_failed
    from llamaduo.status.usage import read_usage, usage_table, without_result
    from llamaduo.workflow.layout import Results, State

    folder = folder.resolve()
    os.chdir(folder)
    settings = load(config)
    place = Path(settings.results)
    file = place / submitted.SUBMITTED
    sent, ends = submitted.read(file).values(), submitted.read_ends(file)
    used, lost = read_usage(sent), without_result(sent, ends, [])
    table = usage_table(used, lost)
    table = f"\nEfficiency, of the jobs that have ended:\n{table}" if table else ""
    if usage:
        print(table)
        return
    try:
        live = live_steps(sent, read_jobs(), folder) if sent else []
    except ServiceError as error:
        live = []
        print(f"What jobs do is not known: {error}")
    results = read_results(Reader(place), make_plan(settings))
    failed = read_failed(Results(place).note("failed.json"))
    spent = read_spent(Reader(place), State(Path(settings.state)).journals)
    so_far = used + without_result(sent, ends, live)
    print(grid_table(results, place, live, failed, so_far, spent))
    if dollars := spending_table(spent, [run.name for run in results.runs]):
        print(f"\n{dollars}\n")
    for line in budget_lines(settings):
        print(line)
    for line in other_steps(results, place, live) + failures(failed):
        print(line)
    if table:
        print(table)


if __name__ == "__main__":
    run(main, __doc__)
