"""Preflight: what would fail after money is spent is refused before."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.config.root import Config
from llamaduo.service.providers.keys import COMMON_KEY_VARIABLE
from llamaduo.workflow.preflight import check, check_folder, check_model, services_used

PROGRAM = Path(__file__).parents[2] / "scripts" / "preflight.py"
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", COMMON_KEY_VARIABLE)


@pytest.fixture(autouse=True)
def without_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)


def values(folder: Path, **sections: Any) -> dict[str, Any]:
    """A config whose coverage dataset and model do not exist; the service `idle` is used by nothing."""
    return {
        "coverage": {"source": str(folder / "pairs.jsonl")},
        "tasks": {"chat": {"generators": ["writer"], "service": "matched", "volumes": [0, 10]}},
        "services": {
            "writer": {"provider": "openai", "model": "w"},
            "grader": {"provider": "anthropic", "model": "g"},
            "matched": {"provider": "openai", "model": "m", "base_url": "simulated"},
            "idle": {"provider": "gemini", "model": "i"},
        },
        "models": {"local": {"path": str(folder / "model")}},
        "judges": ["grader"],
        **sections,
    }


def model_in(folder: Path, *files: str) -> Path:
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).touch()
    return folder


def checked(model: dict[str, Any]) -> None:
    check_model("local", ModelSettings(**model))


def test_only_the_services_asked_for_need_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.model_validate(values(tmp_path))

    check(config, [], models=False, coverage=False)
    check(config, ["matched"], models=False, coverage=False)
    with pytest.raises(InputError) as caught:
        check(config, ["writer", "grader"], models=False, coverage=False)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["services.grader", "services.writer"]
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    check(config, ["writer"], models=False, coverage=False)


def test_a_service_that_is_not_in_the_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'nobody' is not one of the config's services: writer, grader"):
        check(Config.model_validate(values(tmp_path)), ["nobody"], models=False, coverage=False)


def test_models_and_coverage_are_looked_at_where_they_will_be_used(tmp_path: Path) -> None:
    config = Config.model_validate(values(tmp_path))

    with pytest.raises(InputError, match=r"models\.local\.path"):
        check(config, [], models=True, coverage=False)
    with pytest.raises(InputError, match=r"pairs\.jsonl"):
        check(config, [], models=False, coverage=True)


def test_the_services_used_are_generators_judges_baselines_and_the_one_to_be_matched(tmp_path: Path) -> None:
    def used(**sections: Any) -> set[str]:
        return set(services_used(Config.model_validate(values(tmp_path, **sections))))

    absolute = {"epsilon": {"mean": 80, "coverage": None}}
    assert used() == {"writer", "grader", "matched"}
    assert used(baselines={"services": []}) == {"writer", "grader", "matched"}
    assert used(baselines={"services": []}, decision=absolute) == {"writer", "grader"}


@pytest.mark.parametrize("path", ["google/gemma-2b", "gpt2"])
def test_an_id_on_the_hub_is_left_to_the_hub(path: str) -> None:
    checked({"path": path})


@pytest.mark.parametrize("path", ["./model", "~/nowhere/model", "/nowhere/model", "a/folder/of/mine", "no model"])
def test_a_path_that_is_neither_folder_nor_id_is_refused(path: str) -> None:
    with pytest.raises(InputError, match=r"models\.local\.path: .*: no such folder, and no id on the Hub"):
        checked({"path": path})


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        (["model.safetensors", "tokenizer.json"], "no model: config.json"),
        (["config.json", "pytorch_model.bin", "tokenizer.json"], "no weights: a .safetensors file"),
        (["config.json", "model.safetensors", "tokenizer_config.json"], "no tokenizer: one of tokenizer.json"),
    ],
)
def test_a_folder_that_lacks_a_part_of_a_model_is_refused(tmp_path: Path, files: list[str], missing: str) -> None:
    with pytest.raises(InputError, match=missing):
        checked({"path": str(model_in(tmp_path / "model", *files))})


@pytest.mark.parametrize("tokenizer", ["tokenizer.json", "tokenizer.model", "vocab.json"])
def test_a_whole_folder_is_accepted(tmp_path: Path, tokenizer: str) -> None:
    checked({"path": str(model_in(tmp_path / "model", "config.json", "model.safetensors", tokenizer))})


def test_an_adapter_needs_a_tokenizer_in_its_base_or_of_its_own(tmp_path: Path) -> None:
    adapter = model_in(tmp_path / "adapter", "adapter_config.json", "adapter_model.safetensors")
    base = model_in(tmp_path / "base", "config.json", "model.safetensors")
    model = {"path": str(adapter), "kind": "adapter", "base": str(base)}

    with pytest.raises(InputError, match=r"models\.local\.base: .* holds no tokenizer"):
        checked(model)
    (adapter / "tokenizer_config.json").touch()
    with pytest.raises(InputError, match=r"models\.local\.path: .* holds no tokenizer"):
        checked(model)
    (adapter / "tokenizer.json").touch()
    checked(model)


def test_a_chat_template_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"models\.local\.chat_template: nowhere\.jinja: no such file"):
        checked({"path": "google/gemma-2b", "chat_template": "nowhere.jinja"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "services.grader"),
        (["--services"], "models.local.path"),
        (["--services", "writer", "grader"], "services.writer"),
        (["--services", '["matched"]', "--models", "false"], "pairs.jsonl"),
        (["--services", "[]", "--models", "false", "--coverage", "false"], None),
    ],
)
def test_the_program_checks_what_it_is_told_to(tmp_path: Path, options: list[str], said: str | None) -> None:
    (tmp_path / "config.json").write_text(json.dumps(values(tmp_path)))
    environment = {name: value for name, value in os.environ.items() if name not in KEYS}
    command: list[str | Path] = [sys.executable, PROGRAM, "--config", tmp_path / "config.json", *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert (done.returncode, "Traceback" in done.stderr) == (0 if said is None else 1, False)
    assert (said or "") in done.stderr


def test_a_folder_that_can_be_written_is_made_and_left_empty(tmp_path: Path) -> None:
    check_folder("my.yaml:1: results", tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("taken", "taken is a file, where a folder is needed"),
        ("taken/below", "below cannot be written: Not a directory"),
        ("/proc/none", "/proc/none cannot be written: No such file or directory"),
        ("/dev/full/none", "/dev/full/none cannot be written: Not a directory"),
    ],
)
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, folder: str, message: str) -> None:
    (tmp_path / "taken").write_text("not a folder")
    with pytest.raises(InputError, match=f"^my.yaml:1: results: .*{message}$"):
        check_folder("my.yaml:1: results", tmp_path / folder)
