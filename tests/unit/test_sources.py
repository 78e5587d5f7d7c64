"""Digests of the user's data and weights: by content, whatever the places and times."""

import json
import os
import shutil
from pathlib import Path

import pytest

from llamaduo.config.coverage import CoverageSettings
from llamaduo.config.models import ModelSettings
from llamaduo.workflow.sources import MISSING, Digests, coverage_identity, model_identity


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    folder = tmp_path / "pairs"
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"prompt": "a"}\n')
    (folder / "test.jsonl").write_text('{"prompt": "b"}\n')
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "gemma"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"12345678")
    (folder / "README.md").write_text("A model.")
    return folder


def of_coverage(source: Path | str, memory: Path, **settings: object) -> str:
    return coverage_identity(CoverageSettings.model_validate({"source": str(source), **settings}), Digests(memory))


def of_model(path: Path | str, memory: Path, **settings: object) -> dict[str, object]:
    return model_identity(ModelSettings.model_validate({"path": str(path), **settings}), Digests(memory))


def test_a_dataset_is_told_by_its_splits(pairs: Path, tmp_path: Path) -> None:
    memory = tmp_path / "state" / "digests.json"
    first = of_coverage(pairs, memory)
    (pairs / "notes.txt").write_text("by hand")
    assert of_coverage(pairs, memory) == first

    moved = pairs.rename(tmp_path / "moved")
    os.utime(moved / "train.jsonl", (1, 1))
    assert of_coverage(moved, memory) == first

    (moved / "test.jsonl").write_text('{"prompt": "c"}\n')
    assert of_coverage(moved, memory) != first


def test_a_file_is_told_by_its_content_and_its_kind(pairs: Path, tmp_path: Path) -> None:
    memory = tmp_path / "digests.json"
    first = of_coverage(pairs / "train.jsonl", memory)
    assert of_coverage(shutil.copy(pairs / "train.jsonl", tmp_path / "other.jsonl"), memory) == first
    assert of_coverage(shutil.copy(pairs / "train.jsonl", tmp_path / "train.json"), memory) != first


def test_what_is_not_there_is_told_apart_from_anything(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    memory = tmp_path / "digests.json"
    assert of_coverage(tmp_path / "none", memory) == MISSING
    assert of_coverage(tmp_path / "empty", memory) == MISSING
    assert of_model(tmp_path / "empty", memory)["path"] == MISSING


def test_what_is_on_the_hub_is_told_by_name_and_revision(tmp_path: Path) -> None:
    memory = tmp_path / "digests.json"
    assert of_coverage("someone/pairs", memory) == "someone/pairs"
    model = of_model("google/gemma-2b", memory, revision="main")
    assert (model["path"], model["revision"]) == ("google/gemma-2b", "main")
    assert not memory.exists()


def test_a_model_is_told_by_the_files_it_is_made_of(weights: Path, tmp_path: Path) -> None:
    memory = tmp_path / "digests.json"
    first = of_model(weights, memory)
    (weights / "README.md").write_text("A good model.")
    moved = weights.rename(tmp_path / "moved")
    assert of_model(moved, memory) == first

    times = (moved / "model.safetensors").stat()
    (moved / "model.safetensors").write_bytes(b"12345679")
    os.utime(moved / "model.safetensors", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert of_model(moved, memory) != first, "equal size, inode and time of the content"


def test_an_adapter_its_base_and_a_template_count(weights: Path, tmp_path: Path) -> None:
    memory, template = tmp_path / "digests.json", tmp_path / "chat.jinja"
    template.write_text("{{ messages }}")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    settings = {"kind": "adapter", "base": str(weights), "chat_template": str(template)}

    first = of_model(adapter, memory, **settings)
    template.write_text("{{ messages[0] }}")
    second = of_model(adapter, memory, **settings)
    (weights / "config.json").write_text('{"layers": 2}')
    third = of_model(adapter, memory, **settings)
    assert len({json.dumps(one) for one in (first, second, third)}) == 3
    assert str(tmp_path) not in json.dumps(first)


def test_what_was_read_once_is_not_read_again(weights: Path, tmp_path: Path) -> None:
    memory = tmp_path / "state" / "digests.json"
    of_model(weights, memory)
    assert not memory.parent.exists(), "a plan makes no folder"
    memory.parent.mkdir()
    first = of_model(weights, memory)
    remembered = json.loads(memory.read_text())
    file = str(weights / "model.safetensors")
    remembered[file][-1] = "0" * 64
    memory.write_text(json.dumps(remembered))

    assert of_model(weights, memory) != first, "the memory is believed"
    memory.write_text("{")
    assert of_model(weights, memory) == first, "a damaged one is made anew"
    memory.unlink()
    memory.mkdir()
    assert of_model(weights, memory) == first, "and one that cannot be written is done without"
