"""Close a run: write its verdict from the decisions of its cycles."""

from pathlib import Path

from llamaduo.cli.program import run


def main(*, decisions: list[Path], output: Path, generator: str | None = None) -> None:
    """Write the verdict of one run.

    Args:
        decisions: the run's decision.json files, in the order of the cycles; the one of volume 0 first
        output: the verdict, as JSON
        generator: name of the run's generator; needed where the run ended at volume 0, which all generators share
    """
    from llamaduo.cli.errors import InputError
    from llamaduo.cli.program import existing_file
    from llamaduo.report.verdict import close_run
    from llamaduo.storage.files import read_json, write_json

    found = []
    for path in decisions:
        try:
            found.append(read_json(existing_file(path, "a decision of the run")))
        except ValueError as error:
            raise InputError(f"{path}: not JSON: {error}") from error
    write_json(output, close_run(found, generator))


if __name__ == "__main__":
    run(main, __doc__)
