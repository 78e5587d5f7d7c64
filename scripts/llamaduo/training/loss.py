"""The loss of a forward pass: the sum over the learned tokens of their negative log-likelihood.

A sum, not a mean: divided by the tokens of the whole optimiser step, it is the same however the step is divided.
"""

from typing import Any

import torch
from torch.nn.functional import cross_entropy

from llamaduo.training.examples import IGNORED


def summed_loss(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """The summed loss, in nats, of what `batches.packed` or `batches.padded` made, on the model's device.

    No logits are computed for tokens that are not learned: on a GPU TRL's head leaves them out and works in tiles, so
    that a vocabulary of 256,000 fits; elsewhere the model is asked for those of a packed pass alone.
    """
    if inputs["input_ids"].is_cuda or len(inputs["input_ids"]) > 1:
        return -model(**inputs, fused_lm_head=True).log_probs.sum()
    targets = inputs["labels"][0, 1:]
    learned = (targets != IGNORED).nonzero()[:, 0]
    given = {name: value for name, value in inputs.items() if name != "labels"}
    logits = model(**given, use_cache=False, logits_to_keep=learned).logits[0]
    return cross_entropy(logits.float(), targets[learned], reduction="sum")
