"""Decoding steps of a fixed shape, which a GPU is given as one piece; here each is made anew, on a CPU."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from test_inference_engine import STOP, answers, models_with_windows, queries
from tiny_models import build_tiny_model

from llamaduo.config.models import ModelSettings
from llamaduo.inference import cache, recorded, transformers_engine
from llamaduo.inference.engine import Generated
from llamaduo.models.weights import load_base

Work = Callable[[], torch.Tensor]
FAMILIES = ("gemma", "llama", "mistral", "chatml")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("models")
    return {family: load_base(ModelSettings(path=str(build_tiny_model(family, root / family)))) for family in FAMILIES}


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[Work]:
    """The steps that were recorded; with so little room that the cache must grow on the way."""
    made: list[Work] = []

    def recorder(work: Work) -> Work:
        made.append(work)
        return work

    monkeypatch.setattr(transformers_engine, "recorder_for", lambda model: recorder)
    monkeypatch.setattr(cache, "ROOM", 8)
    return made


def ordinary(model: Any, batch_tokens: int) -> list[Generated]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transformers_engine, "recorder_for", lambda model: None)
        return answers(model, queries(), batch_tokens)


@pytest.mark.parametrize("batch_tokens", [100_000, 300])
@pytest.mark.parametrize("family", FAMILIES)
def test_recorded_steps_give_the_same_responses(
    family: str, batch_tokens: int, models: dict[str, Any], recordings: list[Work]
) -> None:
    found = answers(models[family], queries(), batch_tokens)
    assert found == ordinary(models[family], batch_tokens)
    assert len(recordings) > 2, "anew for every change of the rows, and when the room was used up"


def test_unused_columns_hold_numbers_whatever_was_in_memory(
    models: dict[str, Any], recordings: list[Work], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = ordinary(models["llama"], 300)
    new_empty = torch.Tensor.new_empty
    monkeypatch.setattr(torch.Tensor, "new_empty", lambda *given: new_empty(*given).fill_(float("nan")))
    assert answers(models["llama"], queries(), 300) == expected
    assert recordings


def test_a_step_that_cannot_be_recorded_is_made_as_ever(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = []

    def recorder(work: Work) -> Work:
        tried.append(work)
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(transformers_engine, "recorder_for", lambda model: recorder)
    assert answers(models["llama"], queries(), 300) == ordinary(models["llama"], 300)
    assert len(tried) == 1
    assert "are not recorded, which takes longer: operation not permitted when stream is capturing" in caplog.text


def test_memory_that_runs_out_while_a_step_is_recorded_halves_the_batch(
    models: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")]

    def recorder(work: Work) -> Work:
        if failures:
            raise failures.pop()
        return work

    monkeypatch.setattr(transformers_engine, "recorder_for", lambda model: recorder)
    assert answers(models["llama"], queries(), 100_000) == ordinary(models["llama"], 100_000)
    assert "out of memory with" in caplog.text
    assert "not recorded" not in caplog.text


class HeedsNoMask:
    """A model that takes a mask of its own making only."""

    def __init__(self, model: Any) -> None:
        self.config, self.device, self.model = model.config, model.device, model

    def eval(self) -> "HeedsNoMask":
        return self

    def __call__(self, **inputs: Any) -> Any:
        if inputs["attention_mask"].dim() == 4:
            inputs["attention_mask"] = torch.ones_like(inputs["attention_mask"])
        return self.model(**inputs)


def test_a_model_that_does_not_heed_the_mask_is_found_out(
    recordings: list[Work], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = load_base(ModelSettings(path=str(build_tiny_model("llama", tmp_path))))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("v_proj.weight", "o_proj.weight")):
                weight.mul_(20)  # what random weights attend to hardly shows
    assert answers(HeedsNoMask(model), queries(), 300) == ordinary(model, 300)
    assert not recordings
    assert "its logits would not be those of an ordinary step" in caplog.text


def test_which_models_are_recorded(models: dict[str, Any]) -> None:
    def on_gpu(config: Any, attention: str = "sdpa") -> Any:
        config._attn_implementation = attention
        return recorded.recorder_for(SimpleNamespace(config=config, device=torch.device("cuda")))

    assert recorded.recorder_for(models["llama"]) is None, "nothing is won on a CPU"
    for family in ("gemma", "llama", "chatml"):
        assert on_gpu(models[family].config) is recorded.cuda_graph
    with_windows = [config for _, config in models_with_windows()]
    assert [on_gpu(config) for config in with_windows] == [None, None], "one mask is not for all layers"
    assert on_gpu(models["llama"].config, attention="eager") is None
    models["llama"].config._attn_implementation = "sdpa"


def test_the_end_of_turn_ends_recorded_responses_too(models: dict[str, Any], recordings: list[Work]) -> None:
    found = answers(models["llama"], queries(), 300)
    assert {one.finish_reason for one in found} == {"stop", "length"}
    assert not STOP & {token for one in found for token in one.tokens}
    assert recordings
