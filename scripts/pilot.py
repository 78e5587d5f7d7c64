"""Make the first real calls of a workflow, and say from them what the whole will cost."""

from pathlib import Path

from llamaduo.cli.program import run

LONGEST_SAMPLE = 1500


def main(*, config: Path, results: Path, state: Path) -> None:
    """Ask every generator for 50 pairs and every judge for 20 grades, and estimate the rest by them.

    What is asked is what the workflow asks first, in its own journals, so nothing is paid for twice.

    Args:
        config: the config, in YAML or JSON
        results: the results folder, with every task's splits; costs and yields go into its folder pilot
        state: the state folder, with the journals
    """
    from llamaduo.config.load import load
    from llamaduo.estimate.calls import call_sizes
    from llamaduo.estimate.data import read_data
    from llamaduo.estimate.measured import read_measured
    from llamaduo.estimate.notes import notes, spent
    from llamaduo.estimate.pilot import pilot
    from llamaduo.estimate.privacy import sent
    from llamaduo.estimate.table import text
    from llamaduo.estimate.work import estimate
    from llamaduo.service.prompts import load as load_prompts
    from llamaduo.storage.files import write_json
    from llamaduo.storage.schemas.costs import COSTS
    from llamaduo.storage.schemas.coverage import COVERAGE
    from llamaduo.storage.tables import read_rows, write_rows
    from llamaduo.workflow.layout import Results, State
    from llamaduo.workflow.settings import budget

    settings = load(config)
    prompts = load_prompts(Path(settings.prompts))
    train, test = (
        {task: read_rows(Results(results).split(task, split), COVERAGE) for task in settings.tasks}
        for split in ("train", "test")
    )
    found = pilot(settings, prompts, train, test, State(state).journals, budget(settings, State(state)))
    write_rows(Results(results).pilot_costs, found.costs, COSTS)
    write_json(Results(results).pilot_yields, found.yields)
    for sample in found.samples:
        simulated = " (simulated)" if settings.services[sample.service].is_simulated else ""
        print(f"--- {sample.task}: {sample.role} {sample.service}{simulated}\n{sample.text[:LONGEST_SAMPLE]}\n")
    data, measured = read_data(settings, results), read_measured(settings, results)
    sizes = call_sizes(settings, prompts, data, measured.sizes)
    works = estimate(settings, data, sizes, measured.yields)
    told = [*notes(settings, works, data, sizes, measured.yields), spent(settings, results, state)]
    print(text(works, settings, sent(settings), told), end="")


if __name__ == "__main__":
    run(main, __doc__)
