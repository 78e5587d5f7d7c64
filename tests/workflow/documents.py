"""What the documents of the repository tell users to write and to type."""

import re
from pathlib import Path
from typing import Any

import yaml

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a Markdown page in a language; "" for those that name none."""
    return [text for named, text in BLOCK.findall(page.read_text(encoding="utf-8")) if named == language]


def examples(page: Path) -> list[dict[str, Any]]:
    """The YAML examples of a page that hold keys."""
    return [values for text in blocks(page, "yaml") if (values := yaml.safe_load(text))]
