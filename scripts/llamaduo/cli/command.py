"""The installed command `llamaduo VERB`: the programs of `scripts/` under one name, each imported only when it runs."""

import ast
import sys
from difflib import get_close_matches
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

PROGRAMS = Path(__file__).resolve().parents[2]
"""The folder of the programs, beside the package."""


def main() -> None:
    """Run the program that the first argument names, with the arguments after it, as `scripts/VERB.py` would run.

    `--help` lists the verbs. No verb, or an unknown one, ends in exit status 2.
    """
    verb, *arguments = sys.argv[1:] or [""]
    if verb in ("-h", "--help"):
        print(overview())
        return
    path = programs().get(verb.replace("_", "-"))
    if path is None:
        print(f"error: {refusal(verb)}", file=sys.stderr)
        sys.exit(2)
    sys.argv = [f"llamaduo {verb}", *arguments]
    program = ModuleType(path.stem)
    SourceFileLoader(path.stem, str(path)).exec_module(program)
    program.run(program.main, program.__doc__)


def programs() -> dict[str, Path]:
    """The file of each program, by verb."""
    return {path.stem.replace("_", "-"): path for path in sorted(PROGRAMS.glob("*.py"))}


def overview() -> str:
    """Every verb with the first line of its program's docstring, which is read and not imported."""
    docstrings = {
        verb: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or verb
        for verb, path in programs().items()
    }
    width = max(map(len, docstrings))
    lines = [f"  {verb:{width}}  {docstring.splitlines()[0]}" for verb, docstring in docstrings.items()]
    return "\n".join(["usage: llamaduo VERB [options]", "", *lines, "", "llamaduo VERB --help shows a verb's options."])


def refusal(verb: str) -> str:
    """Why a verb is not run, with the verbs that are spelt alike."""
    if not verb:
        return "a verb is missing; `llamaduo --help` lists them"
    alike = get_close_matches(verb.replace("_", "-"), programs())
    instead = f"did you mean {' or '.join(alike)}?" if alike else "`llamaduo --help` lists them"
    return f"{verb}: no such verb; {instead}"
