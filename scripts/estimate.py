"""Say what a config comes to before anything is spent: jobs, calls, tokens, dollars, GPU hours and disk."""

from pathlib import Path

from llamaduo.cli.program import run


def main(*, config: Path, results: Path, state: Path, output: Path | None = None) -> None:
    """Print a lower and an upper bound of a config's work, and what data goes to which service.

    Args:
        config: the config, in YAML or JSON
        results: the results folder; splits, yields and a pilot's measurements are taken from it where they exist
        state: the state folder; what was spent already is counted from its journals
        output: file for the same as JSON; the text goes beside it as .txt
    """
    from llamaduo.config.load import load
    from llamaduo.estimate.calls import call_sizes
    from llamaduo.estimate.data import read_data
    from llamaduo.estimate.measured import read_measured
    from llamaduo.estimate.notes import notes, spent
    from llamaduo.estimate.privacy import sent
    from llamaduo.estimate.table import text, values
    from llamaduo.estimate.work import estimate
    from llamaduo.service.prompts import load as load_prompts
    from llamaduo.storage.files import write_json, write_text

    settings = load(config)
    data = read_data(settings, results)
    measured = read_measured(settings, results)
    sizes = call_sizes(settings, load_prompts(Path(settings.prompts)), data, measured.sizes)
    works = estimate(settings, data, sizes, measured.yields)
    told = [*notes(settings, works, data, sizes, measured.yields), spent(settings, results, state)]
    shown = text(works, settings, sent(settings), told)
    print(shown, end="")
    if output is not None:
        write_json(output, values(works, sent(settings), told))
        write_text(output.with_suffix(".txt"), shown)


if __name__ == "__main__":
    run(main, __doc__)
