"""Show what curation made of a row, the kept row that is nearest to it by ROUGE-L, and the score."""

from pathlib import Path

from llamaduo.cli.errors import InputError
from llamaduo.cli.program import run


def main(
    *,
    kept: Path,
    rejected: Path | None = None,
    train: Path | None = None,
    input: list[Path] | None = None,
    row: str | None = None,
    instruction: str | None = None,
    stemmer: bool = False,
    other_scripts: float = 50,
) -> None:
    """Print a row's decision, its nearest kept neighbour (by the exact ROUGE-L F of the instructions) and both texts.

    Args:
        kept: The rows that curation kept: a pool.
        rejected: The rows that it rejected, with their reasons.
        train: The train split, which rows are compared with as well.
        input: The files that were curated, in their order: rows without an identifier are called input:0, input:1 ...
        row: The row by its identifier (prompt_ids, prompt_id or id), or by its place in one of the files, such as
            kept:0, rejected:12 or input:40.
        instruction: Any text, in place of a row.
        stemmer: Whether curation compared stems (the setting curation.stemmer).
        other_scripts: The setting curation.other_scripts.
    """
    if (row is None) == (instruction is None):
        raise InputError("give either --row or --instruction")
    from llamaduo.curation.explain import Files, explain

    print(explain(Files.read(kept, rejected, train, input), row, instruction, stemmer, other_scripts))


if __name__ == "__main__":
    run(main, __doc__)
