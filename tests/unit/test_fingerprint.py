"""The code fingerprint: what changes it, what does not, and which modules count for which program."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llamaduo.workflow.fingerprint import (
    LEFT_OUT,
    OTHER_ENGINES,
    PACKAGE,
    SCRIPTS,
    fingerprint,
    imported_modules,
    installed_versions,
    is_left_out,
)

PROGRAM = '''"""Count words."""

from pathlib import Path

from llamaduo.words import count


def main(text: Path) -> None:
    """Count the words of a text."""
    from llamaduo.tables.parquet import write

    write(count(text.read_text()))
'''
WORDS = '''"""What a word is."""

from llamaduo.letters import is_letter
from llamaduo.cli.progress import show


def count(text: str) -> int:
    """How many words there are."""
    show()  # it may take a while
    return sum(is_letter(one) for one in text.split())
'''


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A program, a module that it imports, one that this imports, one imported in a function, and others."""
    files = {
        "count.py": PROGRAM,
        "llamaduo/__init__.py": "",
        "llamaduo/words.py": WORDS,
        "llamaduo/letters.py": "import llamaduo.alphabet\n\n\ndef is_letter(one):\n    return one.isalpha()\n",
        "llamaduo/alphabet.py": "SIZE = 26\n",
        "llamaduo/tables/__init__.py": "",
        "llamaduo/tables/parquet.py": "def write(number):\n    return str(number)\n",
        "llamaduo/cli/progress.py": "from llamaduo.bars import bar\n\n\ndef show():\n    bar()\n",
        "llamaduo/cli/__init__.py": "",
        "llamaduo/bars.py": "def bar():\n    print('...')\n",
        "llamaduo/unused.py": "VALUE = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def after(scripts: Path, file: str, old: str, new: str) -> str:
    """The fingerprint of count.py in a copy of the scripts with one text replaced."""
    copy = scripts.with_name(f"{scripts.name}-edited")
    shutil.copytree(scripts, copy)
    text = (copy / file).read_text()
    assert old in text
    (copy / file).write_text(text.replace(old, new, 1))
    return fingerprint("count.py", copy)


def test_it_is_sixteen_hexadecimal_digits_wherever_the_code_lies(scripts: Path) -> None:
    found = fingerprint("count.py", scripts)

    assert len(found) == 16
    assert int(found, 16) >= 0
    assert after(scripts, "count.py", "", "") == found


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("llamaduo/words.py", "  # it may take a while", ""),
        ("llamaduo/words.py", '"""What a word is."""', '"""Words."""\n\n# And what they are made of.'),
        ("llamaduo/words.py", '    """How many words there are."""\n', ""),
        ("count.py", '"""Count words."""', '"""Count the words of a text."""'),
        ("llamaduo/letters.py", "    return one.isalpha()", "\n    return (\n        one.isalpha()\n    )"),
        ("llamaduo/alphabet.py", "SIZE = 26", "SIZE=26;"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(scripts: Path, file: str, old: str, new: str) -> None:
    assert after(scripts, file, old, new) == fingerprint("count.py", scripts)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("count.py", "text.read_text()", "text.read_text().lower()"),
        ("llamaduo/words.py", "text.split()", "text.split(' ')"),
        ("llamaduo/letters.py", "isalpha", "isalnum"),
        ("llamaduo/alphabet.py", "26", "27"),
        ("llamaduo/tables/parquet.py", "str(number)", "repr(number)"),
        ("llamaduo/tables/__init__.py", "", "ROWS = 1\n"),
        ("llamaduo/__init__.py", "", "VERSION = 1\n"),
    ],
)
def test_code_counts_also_where_others_or_a_function_import_it(scripts: Path, file: str, old: str, new: str) -> None:
    assert after(scripts, file, old, new) != fingerprint("count.py", scripts)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("llamaduo/cli/progress.py", "bar()\n", "bar(), bar()\n"),
        ("llamaduo/bars.py", "'...'", "'***'"),
        ("llamaduo/unused.py", "1", "2"),
    ],
)
def test_what_is_left_out_or_not_imported_does_not_count(scripts: Path, file: str, old: str, new: str) -> None:
    assert after(scripts, file, old, new) == fingerprint("count.py", scripts)


COUNT = """def count(rows):
    total = 0
    for row in rows:
        total += len(row)
    return total
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    total = 0\n", "    total = 0\n    print(f'{len(rows)} rows')\n"),
        ("    return", "    logger.info('counted %d', total)\n    return"),
        ("    for row in rows:\n", "    for row in rows:\n        progress.advance(1)\n"),
        ("def count", "import logging\nimport sys\nfrom llamaduo.cli.progress import show\n\n\ndef count"),
        (
            "    for row in rows:\n        total += len(row)\n",
            "    with Progress('rows', 3) as progress:\n        for row in rows:\n            total += len(row)\n",
        ),
    ],
)
def test_messages_and_progress_bars_do_not_count(scripts: Path, old: str, new: str) -> None:
    (scripts / "llamaduo/alphabet.py").write_text(COUNT)

    assert after(scripts, "llamaduo/alphabet.py", old, new) == fingerprint("count.py", scripts)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    total = 0\n", "    total = 0\n    print(next(rows))\n"),
        ("    total = 0\n", "    total = 0\n    print(total := 1)\n"),
        ("    total = 0\n", "    total = 0\n    print(rows.pop())\n"),
        ("    total = 0\n", "    total = 0\n    line = print('rows')\n"),
        ("    total = 0\n", "    total = 0\n    rows.log()\n"),
        (
            "    for row in rows:\n        total += len(row)\n",
            "    with Other(rows) as rows:\n        for row in rows:\n            total += len(row)\n",
        ),
    ],
)
def test_a_message_that_may_change_something_counts(scripts: Path, old: str, new: str) -> None:
    (scripts / "llamaduo/alphabet.py").write_text(COUNT)

    assert after(scripts, "llamaduo/alphabet.py", old, new) != fingerprint("count.py", scripts)


def test_of_a_module_what_it_imports_counts_but_not_what_is_left_out_for_it(scripts: Path) -> None:
    def of_words() -> str:
        code = (
            "from llamaduo.workflow.fingerprint import fingerprint_of_module, Path; "
            f"print(fingerprint_of_module('llamaduo.words', ['llamaduo.alphabet'], Path({str(scripts)!r})))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONPATH": str(SCRIPTS)}, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    first = of_words()
    (scripts / "llamaduo/alphabet.py").write_text("SIZE = 27\n")
    (scripts / "count.py").write_text("import llamaduo.words\n")
    assert of_words() == first
    (scripts / "llamaduo/letters.py").write_text("def is_letter(one):\n    return one.isalnum()\n")
    assert of_words() != first


def test_versions_are_those_installed_here() -> None:
    found = installed_versions(["pytest", "no-such-package-is-here"])

    assert found == {"pytest": pytest.__version__, "no-such-package-is-here": None}


def test_a_string_that_is_a_value_is_no_docstring(scripts: Path) -> None:
    (scripts / "llamaduo/alphabet.py").write_text("def name():\n    return 'Latin'\n")

    assert after(scripts, "llamaduo/alphabet.py", "Latin", "Greek") != fingerprint("count.py", scripts)


def test_a_name_imported_from_a_package_may_be_a_module(scripts: Path) -> None:
    (scripts / "count.py").write_text("from llamaduo.tables import parquet as table\nfrom llamaduo import letters\n")

    assert set(imported_modules("count.py", scripts)) == {
        *(
            "llamaduo",
            "llamaduo.tables",
            "llamaduo.tables.parquet",
            "llamaduo.letters",
            "llamaduo.alphabet",
        )
    }


def remembered_in(scripts: Path) -> Path:
    (file,) = (scripts / PACKAGE / "__pycache__").glob("fingerprint.*.json")
    return file


def in_another_process(scripts: Path) -> str:
    """The fingerprint as the next start finds it, with what this one has remembered on disk."""
    code = (
        "from llamaduo.workflow.fingerprint import fingerprint, Path; "
        f"print(fingerprint('count.py', Path({str(scripts)!r})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(SCRIPTS)}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_what_is_remembered_of_earlier_starts_is_the_code_as_it_is_now(scripts: Path) -> None:
    first = fingerprint("count.py", scripts)
    before = remembered_in(scripts).stat()
    assert in_another_process(scripts) == first
    assert remembered_in(scripts).stat().st_mtime_ns == before.st_mtime_ns, "nothing new"

    times = (scripts / "llamaduo/letters.py").stat()
    (scripts / "llamaduo/letters.py").write_text((scripts / "llamaduo/letters.py").read_text().replace("ph", "hp"))
    os.utime(scripts / "llamaduo/letters.py", ns=(times.st_atime_ns, times.st_mtime_ns))
    changed = in_another_process(scripts)
    assert changed != first, "by its content, not by its time and size"
    assert changed == after(scripts, "count.py", "", "")


@pytest.mark.parametrize("damage", ["{", "[]", '{"a": 1}', '{"a": {"text": "x"}}', "\xff"])
def test_a_damaged_memory_is_made_anew(scripts: Path, damage: str) -> None:
    first = fingerprint("count.py", scripts)
    remembered_in(scripts).write_bytes(damage.encode("latin-1"))
    assert in_another_process(scripts) == first
    assert "SIZE = 26" in remembered_in(scripts).read_text()


def test_a_place_that_cannot_be_written_to_is_done_without(scripts: Path) -> None:
    (scripts / PACKAGE / "__pycache__").write_text("in the way")
    assert in_another_process(scripts) == after(scripts, "llamaduo/alphabet.py", "", "")


def test_relative_imports_are_refused(scripts: Path) -> None:
    (scripts / "llamaduo/alphabet.py").write_text("from . import letters\n")

    with pytest.raises(ValueError, match=r"alphabet.py:1: relative imports"):
        fingerprint("count.py", scripts)


# The package as it is


def modules_of_package() -> dict[str, Path]:
    found = {}
    for path in sorted((SCRIPTS / PACKAGE).rglob("*.py")):
        parts = path.relative_to(SCRIPTS).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def test_what_is_left_out_exists_and_says_why() -> None:
    modules = modules_of_package()

    for name, reason in LEFT_OUT.items():
        assert name in modules, name
        assert len(reason.split()) > 3, name


def test_no_module_uses_relative_imports_and_no_package_does_anything_by_itself() -> None:
    for name, path in modules_of_package().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        relative = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
        assert not relative, f"{name}, lines {relative}"
        if path.name == "__init__.py":
            assert len(tree.body) == (ast.get_docstring(tree) is not None), name


def test_each_engine_counts_for_its_own_responses_only() -> None:
    for engine, others in OTHER_ENGINES.items():
        counted = imported_modules("respond.py", without=others)
        assert f"llamaduo.inference.{engine}_engine" in counted
        assert not set(others) & counted.keys()


def test_what_config_modules_import_is_left_out_too() -> None:
    """Else a function that computes a result could hide behind a module that is left out."""
    for name, path in modules_of_package().items():
        if name.startswith("llamaduo.config."):
            # Those of cli only check the config and describe it.
            others = {other for other in imported_by(path) if not other.startswith("llamaduo.cli")}
            assert all(other.startswith("llamaduo.config") for other in others), (name, others)


def imported_by(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(f"{PACKAGE}.")
    }


STAGES = ("coverage", "synthesis", "curation", "training", "inference", "judging", "decision", "deployment", "report")


@pytest.mark.parametrize(
    ("program", "stages"),
    [
        ("coverage.py", {"coverage"}),
        ("synthesize.py", {"synthesis"}),
        ("curate.py", {"curation"}),
        ("measure_pool.py", {"synthesis"}),
        ("build_dataset.py", {"training"}),
        ("finetune.py", {"training"}),
        ("respond.py", {"inference"}),
        ("respond_service.py", {"inference"}),
        ("judge.py", {"judging"}),
        ("metrics.py", {"decision"}),
        ("decide.py", {"decision"}),
        ("close_run.py", {"report"}),
        # It saves weights as training does.
        ("deploy.py", {"deployment", "training"}),
        ("report.py", {"report"}),
    ],
)
def test_only_a_programs_own_stage_counts_for_it(program: str, stages: set[str]) -> None:
    counted = {name.split(".")[1] for name in imported_modules(program) if "." in name}

    assert counted & set(STAGES) == stages
    assert not any(is_left_out(name) for name in imported_modules(program))


def test_grades_depend_on_the_judging_modules_and_not_on_how_a_call_is_carried() -> None:
    counted = set(imported_modules("judge.py"))

    assert {
        "llamaduo.judging.grades",
        "llamaduo.judging.judgement",
        "llamaduo.service.prompts",
        "llamaduo.storage.tables",
    } <= counted
    assert not any(part in name for name in counted for part in ("config", "simulated", "weights", "chat"))
    # What decides which recorded answers a step is given counts, and how a vendor is spoken to does not.
    assert {name for name in counted if name.startswith("llamaduo.service.")} == {
        f"llamaduo.service.{module}"
        for module in (
            *("asking", "client", "interface", "journal", "journal.identity", "journal.journal"),
            *("journal.reading", "prompts", "step"),
        )
    }


def test_training_and_inference_share_how_a_conversation_is_put_to_a_model() -> None:
    for program in ("finetune.py", "respond.py", "deploy.py"):
        assert {"llamaduo.models.chat", "llamaduo.models.weights"} <= set(imported_modules(program)), program


def test_every_program_has_a_fingerprint_of_its_own() -> None:
    programs = [path.name for path in SCRIPTS.glob("*.py")]

    assert len({fingerprint(program) for program in programs}) == len(programs) > 15
