"""Render the report of whatever exists in a results folder, or print its summary table."""

from pathlib import Path

from llamaduo.cli.program import run

PAGES = ("index.html", "sweep.html")
"""The pages of a results folder, one of which stands for the other where that was not asked for."""


def main(*, results: Path, config: Path, output: Path, state: Path | None = None, table: bool = False) -> None:
    """Render the report as one self-contained HTML page.

    Args:
        results: the results folder; what is missing in it is named in the report
        config: the resolved config, as JSON
        output: the page
        state: the state folder; calls and tokens are counted from its journals
        table: print the summary to the terminal, with the path of the page that exists, and write nothing
    """
    from llamaduo.cli.errors import InputError
    from llamaduo.report.plan import read_plan

    plan = read_plan(config)
    if not results.is_dir():
        raise InputError(f"{results}: no such folder (the results)")
    if table:
        from llamaduo.report.reading import Reader
        from llamaduo.report.results import read_results
        from llamaduo.report.summary import terminal_table

        print(terminal_table(read_results(Reader(results), plan)))
        pages = [page for page in (output, *(output.with_name(name) for name in PAGES)) if page.is_file()]
        print(f"report: {pages[0]}" if pages else f"report: {output} (not written yet)")
        return
    from llamaduo.report.page import render
    from llamaduo.storage.files import write_text

    write_text(output, render(results, plan, state))


if __name__ == "__main__":
    run(main, __doc__)
