"""Models of the real shapes with random weights, made on the spot: nothing is downloaded.

The sizes are those that the models' own config.json files state.
"""

from typing import Any

SHAPES: dict[str, dict[str, Any]] = {
    "gemma-2b": {
        "model_type": "gemma",
        "vocab_size": 256000,
        "hidden_size": 2048,
        "intermediate_size": 16384,
        "num_hidden_layers": 18,
        "num_attention_heads": 8,
        "num_key_value_heads": 1,
        "head_dim": 256,
    },
    "gemma-7b": {
        "model_type": "gemma",
        "vocab_size": 256000,
        "hidden_size": 3072,
        "intermediate_size": 24576,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "head_dim": 256,
    },
    "mistral-7b-v0.3": {
        "model_type": "mistral",
        "vocab_size": 32768,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "sliding_window": None,
    },
    "llama3-8b": {
        "model_type": "llama",
        "vocab_size": 128256,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
}
TINY = {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 16}
TINY |= {"num_attention_heads": 4, "num_key_value_heads": 2}


def shape_of(name: str, tiny: bool = False) -> dict[str, Any]:
    """The sizes of a model, its `head_dim` always among them; `tiny`: of the same architecture, for a CPU."""
    shape = dict(SHAPES[name], **(TINY if tiny else {}))
    return {"head_dim": shape["hidden_size"] // shape["num_attention_heads"], **shape}


def build(name: str, device: str, dtype: Any, tiny: bool = False, seed: int = 0) -> Any:
    """A model with random weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = shape_of(name, tiny)
    special = {"bos_token_id": None, "eos_token_id": 1, "pad_token_id": 0, "max_position_embeddings": 8192}
    config = AutoConfig.for_model(shape.pop("model_type"), **shape, **special)
    torch.manual_seed(seed)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=dtype)
