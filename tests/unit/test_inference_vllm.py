"""What the vLLM engine asks of vLLM and makes of its answers. vLLM itself needs a GPU and its own environment."""

import json
from pathlib import Path
from typing import Any

import pytest

from llamaduo.cli.errors import InputError
from llamaduo.config.inference import InferenceSettings
from llamaduo.config.models import ModelSettings
from llamaduo.inference.engine import Generated, Query
from llamaduo.inference.respond import load_engine
from llamaduo.inference.vllm_engine import (
    Weights,
    generated,
    options_of_model,
    options_of_sampling,
    positions_of,
    weights_of,
)

REPOSITORY = Path(__file__).parents[2]
SETTINGS = InferenceSettings(engine="vllm", temperature=0.7, top_k=40, top_p=0.9)


@pytest.fixture
def base(tmp_path: Path) -> ModelSettings:
    (tmp_path / "base").mkdir()
    (tmp_path / "base/config.json").write_text('{"max_position_embeddings": 512}')
    return ModelSettings(path=str(tmp_path / "base"))


def adapter(folder: Path, **config: Any) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"r": 8, **config}))
    return folder


def test_an_adapter_is_loaded_beside_its_base(base: ModelSettings, tmp_path: Path) -> None:
    weights = weights_of(base, adapter(tmp_path / "adapter", r=12, rank_pattern={"q_proj": 24}))
    assert weights == Weights(tmp_path / "base", tmp_path / "adapter", rank=32)
    options = options_of_model(weights, longest=300)
    assert (options["model"], options["max_model_len"]) == (str(tmp_path / "base"), 300)
    assert (options["enable_lora"], options["max_lora_rank"]) == (True, 32)


def test_an_adapter_tuned_elsewhere_is_loaded_beside_its_base(base: ModelSettings, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "theirs")
    elsewhere = ModelSettings(path=str(folder), kind="adapter", base=base.path)
    assert weights_of(elsewhere, None) == Weights(tmp_path / "base", folder, rank=8)


def test_a_base_and_a_full_fine_tuning_are_whole_models(base: ModelSettings, tmp_path: Path) -> None:
    assert weights_of(base, None) == Weights(tmp_path / "base")
    (tmp_path / "full").mkdir()
    assert weights_of(base, tmp_path / "full") == Weights(tmp_path / "full")
    assert "enable_lora" not in options_of_model(Weights(tmp_path / "base"), 10)


@pytest.mark.parametrize("config", [{"r": 600}, {"modules_to_save": ["lm_head"]}, {"use_dora": True}])
def test_an_adapter_that_vllm_cannot_take_is_refused(
    config: dict[str, Any], base: ModelSettings, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="vLLM takes"):
        weights_of(base, adapter(tmp_path / "adapter", **config))


def test_a_sample_is_asked_for_with_its_own_seed_and_limit() -> None:
    asked = options_of_sampling(Query((1, 2), seed=2**64 - 1, limit=9), SETTINGS, {7, 3})
    assert asked == {
        "n": 1,
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "max_tokens": 9,
        "seed": 2**63 - 1,
        "stop_token_ids": [3, 7],
        "detokenize": False,
    }


def test_the_end_of_turn_is_left_out_of_a_response() -> None:
    assert generated(4, [5, 6, 7], {7}) == Generated(4, (5, 6), "stop")
    assert generated(4, [5, 6], {7}) == Generated(4, (5, 6), "length")
    assert generated(4, [7], {7}) == Generated(4, (), "stop")


def test_the_models_positions_are_read_from_its_settings(tmp_path: Path) -> None:
    for text, found in (('{"text_config": {"max_position_embeddings": 9}}', 9), ("{}", None)):
        (tmp_path / "config.json").write_text(text)
        assert positions_of(tmp_path) == found


def test_without_vllm_its_environment_is_named(base: ModelSettings) -> None:
    with pytest.raises(InputError, match=r"rules/envs/vllm\.yaml: run Snakemake with --sdm conda") as caught:
        load_engine(base, None, SETTINGS, [1])
    assert "'transformers'" in str(caught.value)
    assert (REPOSITORY / "rules/envs/vllm.yaml").is_file()
