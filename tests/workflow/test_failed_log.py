"""What a failed step leaves in the terminal."""

from workspace import Workspace

from llamaduo.cli.errors import WRONG_OPTIONS


def test_a_failed_steps_log_is_shown_by_its_last_lines(fresh: Workspace) -> None:
    talkative = "for number in range(100):\n    print('line', number)\nprint('\\x1b[2J')\nraise SystemExit('no luck')\n"
    (fresh.folder / "scripts/coverage.py").write_text(talkative)

    done = fresh.snakemake("--profile", "profiles/demo", "--cores", "1", "coverage")

    assert done.returncode != 0
    # What Snakemake writes; the program's own lines went past before it.
    shown = done.stderr.split("results/logs/coverage/animals.log: its last lines:\n", 1)[1]
    lines = [line for line in shown.splitlines() if line.startswith("  | ")]
    assert lines == [*(f"  | line {number}" for number in range(72, 100)), r"  | \x1b[2J", "  | no luck"]


def test_a_program_that_does_not_take_its_options_is_not_called_again(fresh: Workspace) -> None:
    fresh.edit("rules/coverage.smk", "{params.command}", "{params.command} --no-such-option 1")

    done = fresh.snakemake("--profile", "profiles/demo", "--cores", "1", "--retries", "2", "coverage")

    assert done.returncode != 0
    assert "no-such-option" in done.stderr
    assert WRONG_OPTIONS in done.stderr
    assert "Trying to restart" not in done.stderr
