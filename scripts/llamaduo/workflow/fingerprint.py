"""A fingerprint of the code that can change a step's result.

Snakemake does not see changes in imported modules. Each rule therefore carries, as a param, a hash over its program and
over those modules of this package that the program imports, directly or through others, made from their syntax trees
without comments and docstrings. Modules that cannot change a result are left out by the list below.
"""

import ast
import hashlib
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from llamaduo.storage.files import read_json, write_json

PACKAGE = "llamaduo"
SCRIPTS = Path(__file__).resolve().parents[2]

_ANSWERED = "reads answers as they arrive; the journal keeps them as they were read, so a step run again gets the same"

# Module or package: why a change in it cannot change a result.
LEFT_OUT = {
    "llamaduo.config": "declares and validates settings; the resolved values are params of the rules themselves",
    "llamaduo.cli.program": "reads options and reports errors",
    "llamaduo.cli.progress": "prints how far a step is",
    "llamaduo.cli.errors": "names the kinds of errors",
    "llamaduo.storage.lease": "keeps two processes apart",
    "llamaduo.storage.append_log": "puts lines on disk; others say what is in them",
    "llamaduo.models.gpus": "refuses a machine whose GPU cannot be used",
    "llamaduo.training.continuation": "counts how often a training was taken up again",
    "llamaduo.training.deadline": "says when a training has to stop; it continues as if it had not",
    "llamaduo.training.processes": "starts the processes of a training",
    "llamaduo.training.trackers": "shows losses while a training runs",
    "llamaduo.models.out_of_memory": "tells when memory ran out; what is computed then is the same in smaller parts",
    "llamaduo.models.hub": "fetches the files of a revision, which the settings name and the model's hash is made of",
    # The rest of llamaduo.service counts: it decides what a step is given from the journal, which costs no call again.
    "llamaduo.service.providers": _ANSWERED,
    "llamaduo.service.pacing": "decides when calls are sent, and sent again",
    "llamaduo.service.calls": "makes calls; what is asked, and what of it is used, is decided elsewhere",
    "llamaduo.service.budget": "adds up money and keeps the budget, which stops a step or lets it end as it would",
    "llamaduo.service.batches": "carries calls through the vendors' batch APIs; their answers are read like any other",
    "llamaduo.workflow": "says where artifacts lie and what is planned; settings that count are params",
    "llamaduo.simulated": "plays a remote service, whose code a workflow cannot see either",
}


@dataclass(frozen=True)
class Code:
    """A file's code: its text without comments, docstrings and layout, and what it imports, as written."""

    text: str
    imports: list[str]


def fingerprint(program: str, scripts: Path = SCRIPTS) -> str:
    """The fingerprint of `scripts/{program}`: 16 hexadecimal digits.

    Equal for equal syntax trees, whatever the comments, docstrings and layout of the code.
    """
    modules = imported_modules(program, scripts)
    trees = [_code(scripts / program, scripts), *(_code(path, scripts) for _, path in sorted(modules.items()))]
    names = [program, *sorted(modules)]
    text = "\0".join(f"{name}\0{tree.text}" for name, tree in zip(names, trees, strict=True))
    _remembered(scripts).save()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def imported_modules(program: str, scripts: Path = SCRIPTS) -> dict[str, Path]:
    """The modules of this package that count for a program, by name: imported anywhere in it or in one another."""
    found: dict[str, Path] = {}
    todo = list(_imports(scripts / program, scripts))
    while todo:
        name = todo.pop()
        if name in found or is_left_out(name):
            continue
        found[name] = _module_path(name, scripts)
        todo += _imports(found[name], scripts)
    return found


def is_left_out(module: str) -> bool:
    """Whether a module, or a package that holds it, is on the list of those that cannot change a result."""
    return any(module == name or module.startswith(f"{name}.") for name in LEFT_OUT)


class Remembered:
    """What files came to when they were read last, by their content: reading them all takes a second of each start.

    It lies where Python keeps compiled code, and may be removed or damaged like that.
    """

    MOST = 2000

    def __init__(self, file: Path) -> None:
        self._file, self._is_new = file, False
        self._codes: dict[str, Code] = {}
        with suppress(OSError, ValueError, TypeError, AttributeError):
            found = {key: Code(**values) for key, values in read_json(file).items()}
            self._codes = found if len(found) < self.MOST else {}

    def code(self, path: Path) -> Code:
        """The code of a file."""
        source = path.read_bytes()
        key = hashlib.sha256(source).hexdigest()
        if key not in self._codes:
            self._codes[key], self._is_new = _read(source, path), True
        return self._codes[key]

    def save(self) -> None:
        """Remember what was new, where there is a place for it."""
        if self._is_new:
            with suppress(OSError):
                write_json(self._file, {key: asdict(code) for key, code in self._codes.items()})
            self._is_new = False


@cache
def _remembered(scripts: Path) -> Remembered:
    # What a syntax tree is written out as depends on Python and on this file.
    maker = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    name = f"fingerprint.{sys.implementation.cache_tag}.{maker}.json"
    return Remembered(scripts / PACKAGE / "__pycache__" / name)


@cache
def _code(path: Path, scripts: Path) -> Code:
    return _remembered(scripts).code(path)


def _read(source: bytes, path: Path) -> Code:
    tree = ast.parse(source, filename=str(path))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_docstring(statement)] or [ast.Pass()]
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            # `from package import x` may name a module or something defined in the package.
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise ValueError(f"{path}:{node.lineno}: relative imports are not followed; name the module in full")
    return Code(ast.unparse(tree), sorted(name for name in names if name == PACKAGE or name.startswith(f"{PACKAGE}.")))


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


@cache
def _imports(path: Path, scripts: Path) -> frozenset[str]:
    ours = [name.split(".") for name in _code(path, scripts).imports]
    with_packages = {".".join(parts[:end]) for parts in ours for end in range(1, len(parts) + 1)}
    return frozenset(name for name in with_packages if _module_path(name, scripts).is_file())


def _module_path(name: str, scripts: Path) -> Path:
    path = scripts.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
