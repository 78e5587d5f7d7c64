"""Releases that are too old are said in one line; the Snakefile names the same."""

import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from snakemake_executor_plugin_llamaduo.versions import OLDEST, refusal


def test_what_is_pinned_is_new_enough() -> None:
    assert refusal() == ""


@pytest.mark.parametrize(
    ("package", "old"), [("snakemake", "9.26.1"), ("snakemake-executor-plugin-slurm", "2.6.1"), ("snakemake", "8.30.0")]
)
def test_an_old_release_is_named_with_the_oldest_that_works(package: str, old: str) -> None:
    assert refusal(lambda name: old if name == package else "10.0") == (
        f"error: {package} {old} is installed; {OLDEST[package]} or newer is needed: make setup"
    )


def test_a_missing_package_is_named() -> None:
    def installed(name: str) -> str:
        raise PackageNotFoundError(name)

    assert refusal(installed) == "error: snakemake is not installed; 9.27.0 or newer is needed: make setup"


def test_the_snakefile_asks_for_the_same_release() -> None:
    snakefile = (Path(__file__).parents[2] / "Snakefile").read_text()
    assert re.findall(r'min_version\("(.*)"\)', snakefile) == [OLDEST["snakemake"]]
