"""The oldest releases that this executor works with, tried by planning with each."""

import re
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

OLDEST = {
    # Older ones plan a dry-run as if there were no cluster.
    "snakemake": "9.27.0",
    # Older ones check accounts elsewhere.
    "snakemake-executor-plugin-slurm": "2.7.1",
}


def refusal(installed: Callable[[str], str] = version) -> str:
    """One line about a release that is too old or missing; empty when all are right."""
    for package, oldest in OLDEST.items():
        try:
            found = installed(package)
        except PackageNotFoundError:
            return f"error: {package} is not installed; {oldest} or newer is needed: make setup"
        if _numbers(found) < _numbers(oldest):
            return f"error: {package} {found} is installed; {oldest} or newer is needed: make setup"
    return ""


def _numbers(release: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", release)[:3]]
