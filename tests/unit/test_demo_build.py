"""The demo's tiny bases and datasets: real architectures, the families' own tokens, made once."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import yaml

from llamaduo.cli.errors import InputError
from llamaduo.config.load import load, validate
from llamaduo.config.models import ModelSettings
from llamaduo.coverage.check import check
from llamaduo.demo import build, own_coverage, tickets
from llamaduo.demo.tiny_models import Family, TinyModel
from llamaduo.models.chat import FAMILIES, example_ids, load_tokenizer
from llamaduo.models.messages import Message
from llamaduo.storage import tables
from llamaduo.storage.schemas.coverage import COVERAGE

ROOT = Path(__file__).parents[2]
ARCHITECTURES = {"gemma": "GemmaForCausalLM", "mistral": "MistralForCausalLM", "llama": "LlamaForCausalLM"}


def few_tickets() -> list[str]:
    return [ticket.text for _, ticket in zip(range(200), tickets.write_tickets(3), strict=False)]


def conversations() -> Iterator[Sequence[Message]]:
    chance = random.Random(1)
    for ticket in tickets.write_tickets(1):
        yield build.conversation(ticket.text, tickets.any_answer(chance))


def make(family: Family, folder: Path, steps: int = 2) -> Path:
    settings = TinyModel(family, hidden=64, steps=steps, batch_size=4)
    build.make_base(settings, few_tickets(), conversations(), folder, family)
    return folder


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[Family, Path]:
    folder = tmp_path_factory.mktemp("bases")
    families: tuple[Family, ...] = ("gemma", "mistral", "llama")
    return {family: make(family, folder / family) for family in families}


@pytest.mark.parametrize("family", ["gemma", "mistral", "llama"])
def test_a_base_has_its_familys_architecture_and_tokens_and_no_chat_template(
    family: Family, bases: dict[Family, Path]
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(bases[family])
    tokenizer = AutoTokenizer.from_pretrained(bases[family])
    assert type(model).__name__ == ARCHITECTURES[family]
    assert model.num_parameters() < 1_000_000
    assert tokenizer.chat_template is None
    assert set(FAMILIES[family].tokens) <= set(tokenizer.all_special_tokens)
    assert len(tokenizer) <= 2048
    assert tokenizer("Hello.")["input_ids"][0] == tokenizer.bos_token_id


@pytest.mark.parametrize("family", ["gemma", "mistral", "llama"])
def test_a_base_takes_conversations_of_any_text(family: Family, bases: dict[Family, Path]) -> None:
    tokenizer = load_tokenizer(ModelSettings(path=str(bases[family]), family=family))
    for text in ("Grüße, 冬の港! 🙂", "def f():\n\treturn 1"):
        prompt, completion = example_ids(tokenizer, build.conversation(text, text))
        assert text in tokenizer.decode(prompt)
        assert text in tokenizer.decode(completion)
        assert prompt.count(tokenizer.bos_token_id) == 1


def test_the_same_base_is_the_same_bytes(bases: dict[Family, Path], tmp_path: Path) -> None:
    again = make("llama", tmp_path / "again")
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (again / name).read_bytes() == (bases["llama"] / name).read_bytes()


def test_a_base_is_built_once_and_again_when_its_settings_change(tmp_path: Path) -> None:
    folder = make("llama", tmp_path / "base")
    first = (folder / "model.safetensors").stat()
    make("llama", folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns == first.st_mtime_ns
    make("llama", folder, steps=3)
    assert (folder / "model.safetensors").stat().st_mtime_ns != first.st_mtime_ns


def test_the_coverage_dataset_has_right_answers_and_is_written_once(tmp_path: Path) -> None:
    folder = tmp_path / "coverage"
    build.build_coverage(folder)
    train, test = (tables.read_rows(folder / f"{split}.parquet", COVERAGE) for split in ("train", "test"))
    assert (len(train), len(test)) == (build.TRAIN_PAIRS, build.TEST_PAIRS)
    assert not {row["prompt"] for row in train} & {row["prompt"] for row in test}
    for row in train + test:
        assert row["messages"][-1]["content"] == tickets.right_answer(row["prompt"])
    before = (folder / "train.parquet").stat().st_mtime_ns
    build.build_coverage(folder)
    assert (folder / "train.parquet").stat().st_mtime_ns == before


def test_the_demos_config_is_valid_and_names_what_is_built() -> None:
    config = load(ROOT / "config" / "demo.yaml")
    assert {name: model.path for name, model in config.models.items()} == {
        name: f"demo/models/{name}" for name in build.BASES
    }
    assert all(service.is_simulated for service in config.services.values())
    assert {config.services[name].provider for name in config.services} == {"openai", "anthropic", "gemini"}
    assert config.tasks["support"].categories == [tickets.CATEGORY]


@pytest.fixture
def own_pairs(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    for split, count in (("train", 12), ("test", 3)):
        with (folder / f"{split}.jsonl").open("w") as file:
            for number in range(count):
                for category in ("Übersetzen & more", "Closed QA", "Closed-QA"):
                    turns = build.conversation(f"{category} {split}: what is {number} plus 2?", str(number + 2))
                    file.write(json.dumps({"messages": turns, "category": category}) + "\n")
    return folder


def test_any_coverage_dataset_gets_a_config_with_a_task_per_category(own_pairs: Path, tmp_path: Path) -> None:
    own_coverage.prepare(own_pairs, tmp_path / "demo")
    target = tmp_path / "demo" / "coverage.yaml"
    config = validate(yaml.safe_load(target.read_text()), str(target))
    assert sorted(task.categories for task in config.tasks.values()) == [
        ["Closed QA"],
        ["Closed-QA"],
        ["Übersetzen & more"],
    ]
    check(config.coverage, {name: task.categories for name, task in config.tasks.items()})
    assert all(len(task.volumes) >= 2 for task in config.tasks.values())
    (model,) = config.models.values()
    load_tokenizer(model)
    before = target.stat().st_mtime_ns, (Path(model.path) / "model.safetensors").stat().st_mtime_ns
    own_coverage.prepare(own_pairs, tmp_path / "demo")
    assert before == (target.stat().st_mtime_ns, (Path(model.path) / "model.safetensors").stat().st_mtime_ns)


def test_a_coverage_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        own_coverage.prepare(tmp_path / "nowhere", tmp_path / "demo")
