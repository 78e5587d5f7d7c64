"""Attention within the examples of a packed pass: no token sees another example's.

Packing is sound only if a model's attention keeps to the boundaries. The kernels here do so by construction, and
`is_isolated` asks the very model that is to be trained.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.nn.functional import scaled_dot_product_attention

from llamaduo.cli.errors import InputError
from llamaduo.training.batches import packed, padded
from llamaduo.training.examples import Example

SEGMENTS = "llamaduo_segments"
VARLEN = "llamaduo_varlen"
"""Names under which transformers finds the kernels of this module."""
SOUND_LAYERS = {"full_attention", "sliding_attention"}
LARGEST_DIFFERENCE = 0.05
"""Relative, between two kernels that compute the same attention: in bf16 about 0.01."""
LARGEST_LEAK = 1e-3
"""Relative, of an example's logits when another example changes: 0 where kernels give the same bits each time; about 1
where attention crosses the boundary."""
TIMES_ROUNDING = 3
"""So many times what another shape of batch makes of an example's logits may a kernel differ from the model's own. Over
the 32 layers of LLaMA3 8B in bf16, with random weights, the shape alone makes 0.05 of them (measured on an H200)."""
PROBE_LENGTHS = (5, 9)


def choose(model: Any, wanted: str) -> str | None:
    """The kernel for packed examples, by the name that transformers knows it by; None where packing is not sound.

    `wanted` is `training.hardware.attention`. Raises `InputError` when a kernel that was asked for cannot be used.
    """
    if reason := _unsound(model):
        if wanted != "auto":
            raise InputError(f"training.hardware.attention: {reason}; set it to auto, or layout to padded")
        return None
    cuda = next(model.parameters()).device.type == "cuda"
    for name, kernel in (
        ("flash_attention_3", "flash_attention_3"),
        ("flash_attention_2", "flash_attention_2"),
        ("varlen", VARLEN),
        ("segments", SEGMENTS),
    ):
        if wanted not in ("auto", name):
            continue
        if name == "segments" or (cuda and _is_installed(name) and _runs(name, model)):
            return kernel
        if wanted == name:
            raise InputError(f"training.hardware.attention: {name} does not work here; set it to auto")
    return None


def use(model: Any, kernel: str) -> None:
    """Make a model of transformers (without adapters yet, or with) attend by the kernel of this name."""
    from transformers import AttentionInterface

    AttentionInterface.register(SEGMENTS, segments)
    AttentionInterface.register(VARLEN, varlen)
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    base.set_attn_implementation(kernel)


def current(model: Any) -> str:
    """The name of the attention that a model uses now."""
    return str(model.config.get_text_config()._attn_implementation)


@torch.no_grad()
def is_isolated(model: Any, examples: Sequence[Example], own: str) -> bool:
    """Whether a model set to packing sees each of some examples alone, and as its `own` attention sees it.

    A kernel is found out that lets an example see another, and one that leaves out what this model adds to attention.
    """
    training, packing = model.training, current(model)
    model.eval()
    try:
        together = _packed_logits(model, examples)
        if any(_leaks(model, examples, together, changed) for changed in range(len(examples))):
            return False
        use(model, own)
        longest = max(examples, key=lambda example: len(example.input_ids))
        for example, beside in zip(examples, together, strict=True):
            (alone,) = _packed_logits(model, [example])
            in_company = _logits(model, padded([example, longest], padding=0))[: len(alone)]
            if _difference(alone, beside) > max(LARGEST_DIFFERENCE, TIMES_ROUNDING * _difference(alone, in_company)):
                return False
        return True
    finally:
        use(model, packing)
        model.train(training)


def _leaks(model: Any, examples: Sequence[Example], before: Sequence[torch.Tensor], changed: int) -> bool:
    """Whether the logits of any other example move when this one changes."""
    mirrored = replace(examples[changed], input_ids=_mirrored(examples[changed].input_ids))
    after = _packed_logits(model, [*examples[:changed], mirrored, *examples[changed + 1 :]])
    pairs = zip(before, after, strict=True)
    return any(_difference(*pair) > LARGEST_LEAK for place, pair in enumerate(pairs) if place != changed)


def _mirrored(ids: np.ndarray) -> np.ndarray:
    """Other tokens of the same vocabulary, as many."""
    mirrored: np.ndarray[Any, Any] = ids.max() + ids.min() - ids
    return mirrored


def _difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / one.norm())


def _packed_logits(model: Any, examples: Sequence[Example]) -> Sequence[torch.Tensor]:
    """The logits of each of some examples in one packed pass."""
    return _logits(model, packed(examples)).split([len(example.input_ids) for example in examples])


def _logits(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """The logits of the first row."""
    given = {
        name: value.to(model.device) if isinstance(value, torch.Tensor) else value
        for name, value in inputs.items()
        if name != "labels"
    }
    return model(**given, use_cache=False).logits[0].float()


def segments(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    segment_lengths: Sequence[int] = (),
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention, one call per example. `query`: (1, heads, tokens, width); returns (1, tokens, heads, width)."""
    repeated = query.shape[1] // key.shape[1]
    if repeated > 1:
        key, value = key.repeat_interleave(repeated, dim=1), value.repeat_interleave(repeated, dim=1)
    lengths = list(segment_lengths)
    found = []
    for one, its_key, its_value in zip(
        query.split(lengths, dim=2), key.split(lengths, dim=2), value.split(lengths, dim=2), strict=True
    ):
        window = _window(one.shape[2], sliding_window, one.device)
        found.append(
            scaled_dot_product_attention(
                one, its_key, its_value, window, dropout_p=dropout, is_causal=window is None, scale=scaling
            )
        )
    return torch.cat(found, dim=2).transpose(1, 2), None


def _window(length: int, sliding_window: int | None, device: torch.device) -> torch.Tensor | None:
    """Which tokens see which, where a window is shorter than the example; None: all before them."""
    if sliding_window is None or length <= sliding_window:
        return None
    place = torch.arange(length, device=device)
    distance = place[:, None] - place[None, :]
    return (distance >= 0) & (distance < sliding_window)


def varlen(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int = 0,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention by PyTorch's own flash kernel for examples of uneven length. Shapes as in `segments`."""
    from torch.nn.attention.varlen import varlen_attn

    dtype = query.dtype
    query, key, value = (
        (part if dtype in (torch.bfloat16, torch.float16) else part.to(torch.bfloat16))[0].transpose(0, 1).contiguous()
        for part in (query, key, value)
    )
    found: Any = varlen_attn(
        query,
        key,
        value,
        cu_seq_lens_q,
        cu_seq_lens_q,
        max_length_q,
        max_length_q,
        scale=scaling,
        window_size=(-1 if sliding_window is None else sliding_window - 1, 0),
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return found[None].to(dtype), None


def _unsound(model: Any) -> str | None:
    """Why examples of this model must not be packed; None when they may."""
    config = model.config.get_text_config()
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    if not getattr(base, "_supports_attention_backend", False):
        return f"{config.model_type} takes no other attention than its own"
    if other := set(getattr(config, "layer_types", None) or []) - SOUND_LAYERS:
        return f"{config.model_type} has layers that see beyond an example: {', '.join(sorted(other))}"
    if getattr(config, "attn_logit_softcapping", None) is not None:
        return f"{config.model_type} caps its attention's logits"
    if getattr(config, "use_bidirectional_attention", False):
        return f"{config.model_type} attends in both directions"
    return None


def _is_installed(name: str) -> bool:
    from transformers import utils

    if name == "varlen":
        return True
    return bool(getattr(utils, f"is_{name.replace('flash_attention', 'flash_attn')}_available")())


def _runs(name: str, model: Any) -> bool:
    """Whether a GPU kernel computes what one call per example does, forward and backward, for heads of this width."""
    if name != "varlen":
        return True  # transformers checks these itself when they are set
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    shapes = [(1, heads, sum(PROBE_LENGTHS), width)] + 2 * [(1, config.num_key_value_heads, sum(PROBE_LENGTHS), width)]
    generator = torch.Generator(device="cuda").manual_seed(0)
    given = [torch.randn(shape, device="cuda", generator=generator).bfloat16().requires_grad_() for shape in shapes]
    query, key, value = given
    boundaries = torch.tensor([0, *PROBE_LENGTHS], device="cuda").cumsum(0).to(torch.int32)
    try:
        found, _ = varlen(None, query, key, value, None, cu_seq_lens_q=boundaries, max_length_q=max(PROBE_LENGTHS))
        gradients = torch.autograd.grad(found.float().sum(), given)
        expected, _ = segments(None, query, key, value, None, segment_lengths=PROBE_LENGTHS)
        others = torch.autograd.grad(expected.float().sum(), given)
    except (RuntimeError, NotImplementedError, ImportError, TypeError):  # an older PyTorch's takes fewer options
        return False
    pairs = zip((found, *gradients), (expected, *others), strict=True)
    return all(bool((one - two).float().norm() <= LARGEST_DIFFERENCE * two.float().norm() + 1e-3) for one, two in pairs)
