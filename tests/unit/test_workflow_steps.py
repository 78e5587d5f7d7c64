"""What a step's program is given: every setting is compared by Snakemake, or named with a reason why it need not be."""

import ast
import inspect
import json
from importlib import util
from pathlib import Path
from typing import Any

import pytest
from workflow_config import REPOSITORY, a_config

from llamaduo.config.base import Section, compared
from llamaduo.service.prompts import load as load_prompts
from llamaduo.workflow.layout import Results, State
from llamaduo.workflow.settings import Kind, Steps, reworded

PROMPTS = load_prompts(REPOSITORY / "config" / "prompts.toml")
KINDS = tuple(Steps(a_config(), PROMPTS, Results(Path("r")), State(Path("s"))).kinds)


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(a_config(), PROMPTS, Results(tmp_path / "results"), State(tmp_path / "state"))


def first(kind: Kind) -> tuple[str, ...]:
    return next(iter(kind.known))


def options(program: str) -> set[str]:
    """The options of a program, by the signature of its `main`."""
    spec = util.spec_from_file_location(program.removesuffix(".py") + "_program", REPOSITORY / "scripts" / program)
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return set(inspect.signature(module.main).parameters)


@pytest.mark.parametrize("name", KINDS)
def test_a_program_takes_all_settings_of_its_step(name: str, steps: Steps) -> None:
    kind = steps.kinds[name]

    assert set(type(steps.view(name, first(kind))).model_fields) <= options(kind.program)


@pytest.mark.parametrize("name", KINDS)
def test_what_is_not_compared_exists_and_has_a_reason(name: str, steps: Steps) -> None:
    def check(section: Section) -> None:
        for dotted, reason in section.UNCOMPARED.items():
            here: Any = section
            for part in dotted.split("."):
                assert part in type(here).model_fields, f"{type(section).__name__}: {dotted}"
                here = getattr(here, part)
            assert reason
        for field in type(section).model_fields:
            if isinstance(getattr(section, field), Section):
                check(getattr(section, field))

    check(steps.view(name, first(steps.kinds[name])))


@pytest.mark.parametrize("name", KINDS)
def test_every_other_setting_is_compared(name: str, steps: Steps) -> None:
    """Leaf by leaf: what the program reads and the params lack is named in some UNCOMPARED."""

    def leaves(value: Any, place: str = "") -> set[str]:
        if isinstance(value, dict) and value:
            return {leaf for key, each in value.items() for leaf in leaves(each, f"{place}.{key}" if place else key)}
        return {place}

    def named(section: Section, place: str = "") -> set[str]:
        found = {f"{place}{dotted}" for dotted in section.UNCOMPARED}
        for field in type(section).model_fields:
            if isinstance(getattr(section, field), Section):
                found |= named(getattr(section, field), f"{place}{field}.")
        return found

    view = steps.view(name, first(steps.kinds[name]))
    lacking = leaves(view.model_dump(mode="json")) - leaves(compared(view))
    reasons = named(view)

    assert {leaf for leaf in lacking if not any(leaf == one or leaf.startswith(f"{one}.") for one in reasons)} == set()


def test_a_change_of_pace_is_not_compared_and_one_of_method_is(tmp_path: Path) -> None:
    def text(**training: Any) -> str:
        config = a_config(training={"max_length": 64, **training})
        made = Steps(config, PROMPTS, Results(tmp_path), State(tmp_path))
        return made.compared("finetune", ("animals", "tiny", "0"))

    assert text() == text(checkpoint_minutes=1, activation_checkpointing=True, hardware={"layout": "padded"})
    assert text() != text(learning_rate=1e-5)


def test_a_real_service_in_place_of_a_simulated_one_is_another_step(tmp_path: Path) -> None:
    def text(**service: Any) -> str:
        services = {
            "writer": {"provider": "openai", "model": "m", **service},
            "grader": {"provider": "gemini", "model": "m"},
        }
        made = Steps(a_config(services=services), PROMPTS, Results(tmp_path), State(tmp_path))
        return made.compared("synthesize", ("animals", "writer"))

    assert text() == text(base_url="https://example.org/v1", concurrency=3)
    assert text() != text(base_url="simulated")


def test_programs_read_their_settings_from_files_that_are_written_once(steps: Steps) -> None:
    steps.write()
    files = {name: steps.file(name, first(kind)) for name, kind in steps.kinds.items()}
    times = {name: path.stat().st_mtime_ns for name, path in files.items()}
    steps.write()

    assert all(json.loads(path.read_text()) for path in files.values())
    assert times == {name: path.stat().st_mtime_ns for name, path in files.items()}, "equal settings are left alone"


def test_reworded_prompts_are_told_from_other_changes() -> None:
    now = '{"prompts":{"user":"new"},"settings":1}'

    assert reworded([repr('{"prompts":{"user":"old"},"settings":1}')], now)
    assert not reworded([repr('{"prompts":{"user":"new"},"settings":2}'), repr("a3f0")], now)


def test_the_package_knows_nothing_of_snakemake() -> None:
    for path in (REPOSITORY / "scripts" / "llamaduo").rglob("*.py"):
        imported = {
            name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert not any(name.split(".")[0].startswith("snakemake") for name in imported), path
