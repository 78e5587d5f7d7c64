"""Look into journals, the records of all calls of service LLMs that were paid for, or compact them."""

from pathlib import Path

from llamaduo.cli.program import run


def main(*, journals: list[Path], show: str | None = None, compact: bool = False) -> None:
    """Print what journals hold: answers, tokens, dollars and dates, by model, stop reason and attempt.

    Args:
        journals: journals, or folders in which all of them are meant
        show: beginning of a key, whose request and answer are printed instead
        compact: rewrite each journal with the last answer under each key only, and set lines aside that are no records
    """
    from llamaduo.cli.errors import InputError
    from llamaduo.service.journal import report as journal_report

    found = [file for path in journals for file in (sorted(path.rglob("*.jsonl")) if path.is_dir() else [path])]
    if not found:
        raise InputError(f"no journals (*.jsonl) in {', '.join(str(path) for path in journals)}")
    if show is not None and len(found) > 1:
        raise InputError("--show looks into one journal; name it")
    for number, journal in enumerate(found):
        if show is not None:
            print(journal_report.entry(journal, show))
        elif compact:
            done = journal_report.compact(journal)
            aside = f", {done.broken} lines set aside in {done.aside}" if done.broken else ""
            print(f"{journal}: {done.kept} answers kept, {done.repeated} repeated ones dropped{aside}")
        else:
            print("\n" * bool(number) + journal_report.report(journal))


if __name__ == "__main__":
    run(main, __doc__)
