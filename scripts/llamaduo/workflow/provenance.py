"""When, where and with what the workflow was started: beside the results, in a file that no rule reads."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from llamaduo.storage.append_log import append_json

PACKAGES: tuple[str, ...] = (
    "snakemake",
    "torch",
    "transformers",
    "trl",
    "peft",
    "bitsandbytes",
    "datasets",
    "openai",
    "anthropic",
)
PACKAGES += ("google-genai", "datasketch", "rouge-score")


def record_start(path: Path, config: str) -> None:
    """Append one line: the time (UTC), host, config, commit of the workflow, and versions of what computes."""
    start = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "config": config,
        "commit": commit(Path(__file__).parent),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }
    append_json(path, start)


def commit(folder: Path) -> str | None:
    """The commit of the git checkout that holds `folder`, marked when files were changed since; None outside of one."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - no outside words
    except FileNotFoundError:
        return None
    return described.stdout.strip() or None
