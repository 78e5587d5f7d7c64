"""Packed examples: none sees another, and the loss is what it is for each alone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import build_tiny_model

from llamaduo.cli.errors import InputError
from llamaduo.config.training import HardwareSettings, TrainingSettings
from llamaduo.models.weights import load_causal
from llamaduo.training import attention, hardware
from llamaduo.training.batches import learned_tokens, packed, padded
from llamaduo.training.examples import IGNORED, Example
from llamaduo.training.loss import summed_loss


def example(row: int, length: int, completion: int) -> Example:
    ids = np.random.default_rng(row).integers(5, 300, size=length).astype(np.int32)
    return Example(row, ids, completion)


EXAMPLES = [example(0, 12, 4), example(1, 30, 9), example(2, 7, 1), example(3, 21, 20)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        family: build_tiny_model(family, root / family) for family in ("gemma", "mistral", "llama", "chatml", "phi")
    }


def gemma3() -> Any:
    """A current model of another kind: windows of 8 tokens in every other layer."""
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    torch.manual_seed(0)
    return Gemma3ForCausalLM(
        Gemma3TextConfig(
            vocab_size=400,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            sliding_window=8,
            layer_types=["sliding_attention", "full_attention"],
        )
    )


def model_of(family: str, folders: dict[str, Path]) -> Any:
    return (gemma3() if family == "gemma3" else load_causal(folders[family])).eval()


def logits(model: Any, examples: list[Example]) -> torch.Tensor:
    inputs = packed(examples)
    inputs.pop("labels")
    with torch.no_grad():
        return model(**inputs, use_cache=False).logits[0]


@pytest.mark.parametrize("family", ["gemma", "mistral", "llama", "chatml", "phi", "gemma3"])
def test_changing_one_example_leaves_the_others_logits_as_they_are(family: str, folders: dict[str, Path]) -> None:
    model = model_of(family, folders)
    alone = [model(torch.tensor(one.input_ids[None]).long()).logits[0] for one in EXAMPLES]
    attention.use(model, attention.choose(model, "auto") or "")
    before = logits(model, EXAMPLES)
    changed = [EXAMPLES[0], example(9, 30, 9), *EXAMPLES[2:]]
    after = logits(model, changed)

    first, second = 12, 12 + 30
    assert torch.equal(before[:first], after[:first])
    assert torch.equal(before[second:], after[second:])
    assert not torch.allclose(before[first:second], after[first:second], atol=1e-2)
    torch.testing.assert_close(before, torch.cat(alone), rtol=1e-4, atol=1e-5)
    assert attention.is_isolated(model, EXAMPLES, own="sdpa")


def sees_all_examples_as_one(module: Any, query: Any, *others: Any, segment_lengths: Any = (), **named: Any) -> Any:
    return attention.segments(module, query, *others, **named | {"segment_lengths": [query.shape[2]]})


def weighs_otherwise(module: Any, query: Any, *others: Any, **named: Any) -> Any:
    return attention.segments(module, 5 * query, *others, **named)


@pytest.mark.parametrize("kernel", [sees_all_examples_as_one, weighs_otherwise])
def test_an_attention_that_is_not_the_models_own_within_each_example_is_found_out(
    kernel: Any, folders: dict[str, Path]
) -> None:
    from transformers import AttentionInterface

    model = model_of("llama", folders)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("q_proj.weight", "k_proj.weight")):
                weight.mul_(30)  # random weights attend to everything alike
    AttentionInterface.register("of_this_test", kernel)
    attention.use(model, "of_this_test")
    assert not attention.is_isolated(model, EXAMPLES, own="sdpa")
    assert attention.current(model) == "of_this_test"


@pytest.mark.parametrize("family", ["gemma", "mistral", "llama", "chatml", "phi", "gemma3"])
def test_packed_and_padded_have_the_loss_and_gradient_of_each_example_alone(
    family: str, folders: dict[str, Path]
) -> None:
    from trl.trainer.utils import add_fused_lm_head

    model = model_of(family, folders)
    add_fused_lm_head(model)  # what TRL's trainer does first

    def loss_and_gradient(groups: list[dict[str, Any]]) -> tuple[float, torch.Tensor]:
        model.zero_grad()
        losses = [summed_loss(model, group) for group in groups]
        for loss in losses:
            loss.backward()
        return sum(loss.item() for loss in losses), model.get_output_embeddings().weight.grad.clone()

    by_padding = loss_and_gradient([padded(EXAMPLES, padding=0)])
    by_itself = [
        model(input_ids=torch.tensor(one.input_ids[None]).long(), labels=torch.tensor(one.labels[None]).long())
        for one in EXAMPLES
    ]
    expected = sum(out.loss.item() * learned_tokens([one]) for out, one in zip(by_itself, EXAMPLES, strict=True))
    attention.use(model, attention.SEGMENTS)
    by_packing = loss_and_gradient([packed(EXAMPLES[:2]), packed(EXAMPLES[2:])])

    with torch.no_grad():
        in_tiles = -model(**packed(EXAMPLES), fused_lm_head=True).log_probs.sum()  # as on a GPU
    assert in_tiles.item() == pytest.approx(expected, rel=1e-5)
    assert by_packing[0] == pytest.approx(expected, rel=1e-5)
    assert by_padding[0] == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(by_packing[1], by_padding[1], rtol=1e-4, atol=1e-5)


def test_the_first_token_of_an_example_is_predicted_by_nothing() -> None:
    whole = Example(0, np.arange(5, dtype=np.int32), completion=5)
    assert packed([whole, whole])["labels"].tolist() == [[IGNORED, 1, 2, 3, 4, IGNORED, 1, 2, 3, 4]]
    assert padded([whole], padding=0)["labels"].tolist() == [[IGNORED, 1, 2, 3, 4]]
    assert learned_tokens([whole, whole]) == 8


def gemma2() -> Any:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    sizes = {"vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16}
    return Gemma2ForCausalLM(Gemma2Config(**sizes, num_attention_heads=2, num_key_value_heads=1))


def test_a_model_whose_attention_cannot_be_kept_within_an_example_is_padded() -> None:
    model = gemma2()
    chosen = hardware.choose(model, TrainingSettings(), EXAMPLES, sharded=False)
    assert (chosen.layout, chosen.attention) == ("padded", "eager" if chosen.attention == "eager" else "sdpa")
    for forced in (HardwareSettings(layout="packed"), HardwareSettings(attention="segments")):
        with pytest.raises(InputError, match="gemma2"):
            hardware.choose(model, TrainingSettings(hardware=forced), EXAMPLES, sharded=False)


def test_a_kernel_that_is_not_here_is_told_when_it_is_asked_for(folders: dict[str, Path]) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    settings = TrainingSettings(hardware=HardwareSettings(attention="flash_attention_2"))
    with pytest.raises(InputError, match=r"training.hardware.attention: flash_attention_2 does not work here"):
        hardware.choose(model_of("llama", folders), settings, EXAMPLES, sharded=False)
