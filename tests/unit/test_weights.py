"""Weights in 4 bits."""

from pathlib import Path

from tiny_models import build_tiny_model

from llamaduo.models.weights import load_causal


def test_an_evaluation_leaves_4_bit_weights_as_they_are(tmp_path: Path) -> None:
    """Training goes on after it. With sizes as of real models, multiples of 64, bitsandbytes could repack them."""
    import torch
    from bitsandbytes.nn import Linear4bit

    model = load_causal(build_tiny_model("llama", tmp_path / "model", hidden=64), quantise=True)
    layers = [layer for layer in model.modules() if isinstance(layer, Linear4bit)]
    assert layers
    # On processors that have no such repacking, this alone tells whether it is still turned off.
    assert not any(layer.support_avx512bf16_for_cpu for layer in layers)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tokens = torch.arange(8).reshape(1, 8)

    model.eval()
    with torch.no_grad():
        model(tokens)

    after = model.state_dict()
    assert any(name.endswith("nested_absmax") for name in before), "the scales are quantised too"
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    model.train()
    embedded = model.get_input_embeddings()(tokens).detach().requires_grad_()
    model(inputs_embeds=embedded).logits.sum().backward()
    assert embedded.grad.abs().sum() > 0
