"""A fingerprint of the code that can change a step's result.

Snakemake does not see changes in imported modules. Each rule therefore carries, as a param, a hash over its program and
over those modules of this package that the program imports, directly or through others, made from their syntax trees
without comments, docstrings, prints and log lines. Modules that cannot change a result are left out by the list below.
What a step keeps under `state/` is keyed by the same fingerprint, of the modules that decide it.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from llamaduo.storage.files import read_json, write_json

PACKAGE = "llamaduo"
SCRIPTS = Path(__file__).resolve().parents[2]

_ANSWERED = "reads answers as they arrive; the journal keeps them as they were read, so a step run again gets the same"

# Module or package: why a change in it cannot change a result.
LEFT_OUT = {
    "llamaduo.config": "declares and validates settings; the resolved values are params of the rules themselves",
    "llamaduo.cli": "reads options, prints how far a step is, names and reports errors",
    "llamaduo.storage.files": "reads and writes whole files; what is in them is decided elsewhere",
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

# Per engine the modules of those that are not used.
OTHER_ENGINES = {
    "transformers": ("llamaduo.inference.vllm_engine",),
    "vllm": ("llamaduo.inference.transformers_engine",),
}


@dataclass(frozen=True)
class Code:
    """A file's code: its text without comments, docstrings and layout, and what it imports, as written."""

    text: str
    imports: list[str]


def fingerprint(program: str, scripts: Path = SCRIPTS, without: Iterable[str] = ()) -> str:
    """The fingerprint of `scripts/{program}`: 16 hexadecimal digits.

    Equal for equal syntax trees, whatever the comments, docstrings, prints and layout of the code. `without`: further
    modules and packages that do not count.
    """
    modules = imported_modules(program, scripts, without)
    return _digest({program: scripts / program, **modules}, scripts)


def fingerprint_of_module(module: str, without: Iterable[str] = (), scripts: Path = SCRIPTS) -> str:
    """The fingerprint of a module and of what it imports, directly or through others: 16 hexadecimal digits."""
    path = _module_path(module, scripts)
    return _digest({module: path, **_reached(_imports(path, scripts), scripts, without)}, scripts)


def installed_versions(packages: Iterable[str]) -> dict[str, str | None]:
    """The versions of packages as installed here; None for one that is not."""
    found: dict[str, str | None] = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def imported_modules(program: str, scripts: Path = SCRIPTS, without: Iterable[str] = ()) -> dict[str, Path]:
    """The modules of this package that count for a program, by name: imported anywhere in it or in one another."""
    return _reached(_imports(scripts / program, scripts), scripts, without)


def is_left_out(module: str, without: Iterable[str] = ()) -> bool:
    """Whether a module, or a package that holds it, is on the list of those that cannot change a result."""
    return any(module == name or module.startswith(f"{name}.") for name in (*LEFT_OUT, *without))


def _reached(start: Iterable[str], scripts: Path, without: Iterable[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    todo, without = list(start), tuple(without)
    while todo:
        name = todo.pop()
        if name in found or is_left_out(name, without):
            continue
        found[name] = _module_path(name, scripts)
        todo += _imports(found[name], scripts)
    return found


def _digest(modules: dict[str, Path], scripts: Path) -> str:
    text = "\0".join(f"{name}\0{_code(path, scripts).text}" for name, path in sorted(modules.items()))
    _remembered(scripts).save()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
    tree = WithoutMessages().visit(tree)
    return Code(ast.unparse(tree), sorted(name for name in names if name == PACKAGE or name.startswith(f"{PACKAGE}.")))


class WithoutMessages(ast.NodeTransformer):
    """Removes what only prints, logs or counts progress, and the imports for it.

    A message stays if working it out may change something: if it calls more than a few harmless functions.
    """

    LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})
    LOGGERS = frozenset({"logger", "logging", "log"})
    HARMLESS = frozenset({"len", "str", "repr", "round", "abs", "format", "type", "int", "float"})
    FOR_MESSAGES = frozenset({"logging", "sys", "warnings"})

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Leave a `pass` where nothing is left of a block."""
        super().generic_visit(node)
        if getattr(node, "body", None) == [] and not isinstance(node, ast.Module):
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Remove a print, a log line, and an advance of a progress bar."""
        call = node.value
        return None if isinstance(call, ast.Call) and self._is_message(call) and self._is_harmless(call) else node

    def visit_With(self, node: ast.With) -> ast.AST | list[ast.stmt]:
        """Put the block under a progress bar in its place."""
        self.generic_visit(node)
        opened = [item.context_expr for item in node.items]
        bars = [one for one in opened if isinstance(one, ast.Call) and _name(one.func) == "Progress"]
        return node.body if bars == opened and all(map(self._is_harmless, bars)) else node

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        """Remove the imports of what messages need; what else uses them names them."""
        return None if {alias.name for alias in node.names} <= self.FOR_MESSAGES else node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        """Remove imports of modules that are left out."""
        return None if node.module and is_left_out(node.module) else node

    def _is_message(self, call: ast.Call) -> bool:
        if not isinstance(call.func, ast.Attribute):
            return _name(call.func) == "print"
        owner, method = _name(call.func.value), call.func.attr
        return (owner in self.LOGGERS and method in self.LEVELS) or (owner, method) == ("progress", "advance")

    def _is_harmless(self, call: ast.Call) -> bool:
        parts = [part for value in (*call.args, *call.keywords) for part in ast.walk(value)]
        acts = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
        called = [_name(part.func) for part in parts if isinstance(part, ast.Call)]
        return not any(isinstance(part, acts) for part in parts) and self.HARMLESS.issuperset(called)


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


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
