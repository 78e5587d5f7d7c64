"""`llamaduo VERB` runs the programs of `scripts/` under one name."""

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = REPOSITORY / "scripts"


def llamaduo(*arguments: str, folder: Path = SCRIPTS) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llamaduo", *arguments]
    environment = {"PYTHONPATH": str(SCRIPTS), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_help_lists_every_program_with_what_it_does() -> None:
    shown = llamaduo("--help")

    assert shown.returncode == 0
    for program in SCRIPTS.glob("*.py"):
        verb = program.stem.replace("_", "-")
        does = program.read_text(encoding="utf-8").splitlines()[0].strip('"')
        assert any(line.split(maxsplit=1) == [verb, does] for line in shown.stdout.splitlines()), verb


def test_help_imports_no_program_and_no_package_beside_the_standard_library() -> None:
    code = "import sys; from llamaduo.cli.command import main; sys.argv[1:] = ['-h']; main(); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True)

    loaded = {name.partition(".")[0] for name in shown.stdout.splitlines()[-1].split()}
    assert loaded.isdisjoint({"jsonargparse", "pydantic", "numpy", "torch"})


@pytest.mark.parametrize("verb", ["explain-row", "explain_row"])
def test_a_verb_runs_its_program_with_the_options_after_it(tmp_path: Path, verb: str) -> None:
    shown = llamaduo(verb, "--help", folder=tmp_path)

    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith(f"usage: llamaduo {verb} ")
    assert "--rejected" in shown.stdout


def test_a_program_ends_under_the_command_as_it_ends_by_itself(tmp_path: Path) -> None:
    options = ["--config", "none.yaml"]
    alone = [sys.executable, str(SCRIPTS / "status.py"), *options]
    by_itself = subprocess.run(alone, cwd=tmp_path, capture_output=True, text=True, check=False)
    ended = llamaduo("status", *options, folder=tmp_path)

    assert ended.returncode == by_itself.returncode != 0
    assert ended.stderr == by_itself.stderr
    assert ended.stderr.startswith("error: none.yaml: ")


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("statsu", "error: statsu: no such verb; did you mean status?\n"),
        ("explain_rows", "error: explain_rows: no such verb; did you mean explain-row?\n"),
        ("../tests/slurm/cluster", "error: ../tests/slurm/cluster: no such verb; `llamaduo --help` lists them\n"),
    ],
)
def test_an_unknown_verb_ends_in_one_line_with_those_spelt_alike(verb: str, said: str) -> None:
    ended = llamaduo(verb)

    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", said)


def test_no_verb_is_a_mistake_as_well() -> None:
    ended = llamaduo()

    assert (ended.returncode, ended.stderr) == (2, "error: a verb is missing; `llamaduo --help` lists them\n")
