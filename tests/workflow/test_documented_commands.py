"""The commands in README.md and config/README.md, run as they stand there; those that compute are only planned."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from documents import blocks, examples
from hub_server import Hosted, hub
from pyarrow import Table, parquet
from tiny_models import build_tiny_model
from workspace import REPOSITORY, clean_environment, new_workspace, pairs

CONFIG = examples(REPOSITORY / "config/README.md")[0]
[SITE] = examples(REPOSITORY / "README.md")
PAGES = ("README.md", "config/README.md")
# What is not run here, by its beginning, and why.
NOT_RUN = {
    "export OPENAI_API_KEY=": "a key of the user's",
    "export HF_TOKEN=": "a key of the user's",
    "export HF_HOME=": "a folder of the user's",
    "git clone ": "needs the network; the folder is there",
    "make setup": "installs packages; every test runs in what it has made",
    "make test": "runs these tests",
    "make demo": "minutes; the demo is run on a cluster by tests/slurm",
    "tmux ": "a terminal of the user's",
    "srun ": "needs SLURM; tests/slurm has one",
    "sbatch ": "needs SLURM; tests/slurm has one",
}
# Run to their end; any other target of Snakemake is planned.
LOOKING = {"estimate", "prefetch", "status"}
PROGRAMS = ("make status ", "make plan ", ".venv/bin/python scripts/", "/path/to/.venv/bin/python /path/to/scripts/")
SNAKEMAKE = ("snakemake ", ".venv/bin/snakemake ", "/path/to/.venv/bin/snakemake ")


def documented() -> list[str]:
    """Every command of the pages once, without its comment."""
    texts = [text.replace("\\\n", " ") for page in PAGES for text in blocks(REPOSITORY / page, "")]
    lines = [shlex.split(line, comments=True) for text in texts for line in text.splitlines()]
    return list(dict.fromkeys(shlex.join(words) for words in lines if words))


def reason(command: str) -> str | None:
    return next((why for start, why in NOT_RUN.items() if command.startswith(start)), None)


def as_run(command: str) -> str:
    """The command to run for a documented one; one of a kind that is not known fails."""
    if command.startswith(PROGRAMS):
        return command
    assert command.startswith(SNAKEMAKE), f"how is it to be tested? {command}"
    words = set(shlex.split(command))
    return command if words & {"-n", "--dry-run", *LOOKING} else f"{command} --dry-run"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with its environment, and what its user has written: my.yaml, the site's values, files of pairs."""
    folder = new_workspace(tmp_path_factory.mktemp("documented") / "clone").folder
    (folder / "Makefile").symlink_to(REPOSITORY / "Makefile")
    (folder / "slurm").symlink_to("profiles/slurm")
    (folder / ".venv").mkdir()
    for part in ("bin", "lib", "pyvenv.cfg"):
        (folder / ".venv" / part).symlink_to(Path(sys.prefix) / part)
    (folder / ".venv" / ".ready").touch()
    (folder / "my.yaml").write_text(yaml.safe_dump(CONFIG))
    (folder / "site.yaml").write_text(yaml.safe_dump(SITE))
    rows = [{"prompt": row["prompt"], "response": row["messages"][-1]["content"]} for row in pairs(20)]
    (folder / CONFIG["coverage"]["source"]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    written = [{"instruction": row["prompt"], "response": row["response"]} for row in [*rows, rows[0]]]
    parquet.write_table(Table.from_pylist(written), folder / "pairs.parquet")
    return folder


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Hub with the model that my.yaml names."""
    model = CONFIG["models"]["gemma-2b"]
    folder = build_tiny_model("gemma", tmp_path_factory.mktemp("hub") / "gemma")
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    with hub({f"models/{model['path']}": Hosted(files, commit=model["revision"])}) as served:
        yield served.address


@pytest.mark.parametrize("command", [command for command in documented() if reason(command) is None])
def test_a_documented_command_runs(command: str, clone: Path, address: str, tmp_path: Path) -> None:
    environment = clean_environment() | {
        "PATH": f"{clone / '.venv/bin'}:{os.environ['PATH']}",
        "HF_ENDPOINT": address,
        "HF_HOME": str(clone / "huggingface"),
        "HF_HUB_DISABLE_XET": "1",
        "LLAMADUO_SITE": str(clone / "site.yaml"),
        "PYTHONPATH": str(clone / "scripts"),
    }
    elsewhere = "/path/to/" in command
    if elsewhere:
        (tmp_path / "my.yaml").symlink_to(clone / "my.yaml")

    done = subprocess.run(
        ["bash", "-c", as_run(command).replace("/path/to", str(clone))],
        cwd=tmp_path if elsewhere else clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_what_is_not_run_stands_in_a_page() -> None:
    assert [start for start in NOT_RUN if not any(command.startswith(start) for command in documented())] == []


@pytest.mark.parametrize("target", ["demo", "test", "setup", "demo COVERAGE=path/to/folder"])
def test_targets_that_are_not_run_are_there(target: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", *target.split()], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
