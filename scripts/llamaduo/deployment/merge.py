"""An adapter made part of its base's weights, and the proof that the merged model says the same."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llamaduo.cli.errors import InputError
from llamaduo.config.models import ModelSettings
from llamaduo.models.chat import end_of_turn_ids, prompt_ids
from llamaduo.models.messages import Message
from llamaduo.models.weights import load_causal, load_with_adapter
from llamaduo.training.adapter_folder import save_tokenizer, save_weights

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase as Tokenizer

TOLERANCE = 0.05
"""Share of the logits' range that two of them may differ by; rounding to bf16 takes about a tenth of it."""
LOST = 0.5
"""Share of the adapter's own effect on the logits, on average, at which it counts as lost in merging."""
NEGLIGIBLE = 1e-3
"""An adapter whose effect is so small a share of the logits' range is lost in rounding, and nothing with it."""
LONGEST_PROMPT = 512
"""Tokens of a prompt that are compared; later ones bring nothing new."""


@dataclass(frozen=True)
class Verification:
    """How far the logits of the saved model are from those of base and adapter, over all positions of the prompts.

    `adapter_effect` is how far the base without the adapter is on average: what a lost adapter would show. Passed when
    the largest difference is within the tolerance and the mean one is no sign of a lost adapter.
    """

    prompts: int
    tokens: int
    max_abs_difference: float
    mean_abs_difference: float
    same_likeliest_token: float
    logit_range: float
    adapter_effect: float | None
    tolerance: float
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def merge(
    model: ModelSettings, adapter: Path, tokenizer: "Tokenizer", prompts: Sequence[Sequence[Message]], folder: Path
) -> Verification:
    """Write the merged model, its tokenizer and generation config into `folder`; load it again and compare the logits.

    The base is loaded in bf16 and not in 4 bits, whatever it was trained in; the sum with the adapter is made in fp32
    and rounded to bf16 once. The whole model of a full fine-tuning is saved in bf16. Raises `InputError` when there is
    nothing to merge.
    """
    import torch

    if not prompts:
        raise InputError("no test prompts to compare the merged model's logits on")
    encoded = [prompt_ids(tokenizer, messages)[-LONGEST_PROMPT:] for messages in prompts]
    tuned = load_with_adapter(model, adapter, dtype=torch.bfloat16).float()
    expected = _logits(tuned, encoded)
    untuned = None
    if hasattr(tuned, "merge_and_unload"):
        with tuned.disable_adapter():
            untuned = _logits(tuned, encoded)
        tuned = tuned.merge_and_unload(safe_merge=True)
    tuned = tuned.to(torch.bfloat16)
    tuned.generation_config.eos_token_id = end_of_turn_ids(tokenizer)
    tuned.generation_config.pad_token_id = tokenizer.pad_token_id
    save_weights(tuned, folder)
    save_tokenizer(tokenizer, folder)
    del tuned
    saved = load_causal(folder, dtype=torch.bfloat16).float()
    saved.eval()
    return compare(_logits(saved, encoded), expected, untuned)


def _logits(model: Any, prompts: Sequence[Sequence[int]]) -> "list[Tensor]":
    """Per prompt the logits at every position: (tokens, vocabulary), fp32, on the CPU."""
    import torch

    with torch.no_grad():
        return [model(torch.tensor([ids], device=model.device)).logits[0].float().cpu() for ids in prompts]


def compare(found: "list[Tensor]", expected: "list[Tensor]", untuned: "list[Tensor] | None") -> Verification:
    """`found`, the saved model's logits, against the unmerged model's, and those against the base's without adapter.

    Each is a list of (tokens, vocabulary), one per prompt; `untuned` is None where there is no adapter.
    """
    import torch

    merged, unmerged = torch.cat(found), torch.cat(expected)
    difference = (merged - unmerged).abs()
    logit_range = float(unmerged.max() - unmerged.min())
    largest, mean, tolerance = float(difference.max()), float(difference.mean()), TOLERANCE * logit_range
    effect = None if untuned is None else float((torch.cat(untuned) - unmerged).abs().mean())
    lost = effect is not None and effect > NEGLIGIBLE * logit_range and mean > LOST * effect
    return Verification(
        prompts=len(found),
        tokens=len(merged),
        max_abs_difference=largest,
        mean_abs_difference=mean,
        same_likeliest_token=float((merged.argmax(-1) == unmerged.argmax(-1)).float().mean()),
        logit_range=logit_range,
        adapter_effect=effect,
        tolerance=tolerance,
        passed=largest <= tolerance and not lost,
    )
