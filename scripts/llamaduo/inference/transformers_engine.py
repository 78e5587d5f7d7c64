"""The engine on transformers: batches sorted by length, one prefill for the samples of a prompt, own sampling.

A sample's randomness comes from its query alone. Its logits may still differ in the last bits between batches of
different shapes, because the matrix kernels then add in another order. In fp32 that is too little to change a token
but once in a very long while; in bf16, whose logits have three significant digits, now and then a response takes
another course. What is left after a kill is batched as it would have been without one, so it comes out equal in bf16
too, unless the batches were halved in between because memory ran out.
"""

import gc
import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from llamaduo.config.inference import InferenceSettings
from llamaduo.config.models import ModelSettings
from llamaduo.errors import InputError
from llamaduo.inference.batches import longest_first, next_batch, tokens_of
from llamaduo.inference.engine import Generated, Query
from llamaduo.inference.sampling import Sampling, draw
from llamaduo.weights import load_with_adapter

log = logging.getLogger(__name__)


def load(
    model: ModelSettings, adapter: Path | None, settings: InferenceSettings, stop_ids: Collection[int]
) -> "TransformersEngine":
    """The engine with a model loaded into it: bf16 on a GPU, fp32 on a CPU."""
    sampling = Sampling(settings.temperature, settings.top_k, settings.top_p)
    return TransformersEngine(load_with_adapter(model, adapter), stop_ids, sampling, settings.batch_tokens)


class TransformersEngine:
    """Samples from a causal language model, in the precision and on the device that it was loaded with."""

    def __init__(self, model: Any, stop_ids: Collection[int], sampling: Sampling, batch_tokens: int) -> None:
        """model: as transformers or PEFT load it; stop_ids: what ends a turn; batch_tokens: see `tokens_of`."""
        self.model, self.stop_ids, self.sampling = model.eval(), frozenset(stop_ids), sampling
        self.batch_tokens = batch_tokens
        config = model.config.get_text_config()  # of a model that also sees images: its language part
        self.positions: int | None = getattr(config, "max_position_embeddings", None)

    def generate(self, queries: Sequence[Query]) -> Iterator[list[Generated]]:
        """Each query's sample exactly once, batch by batch, the longest prompts first.

        When memory runs out the batch is halved, and all that follow it. Raises `InputError` when a batch of one
        does not fit.
        """
        order = longest_first(queries)
        while order:
            batch = next_batch(queries, order, self.batch_tokens)
            finished = self._unless_out_of_memory([queries[index] for index in batch])
            if finished is None:
                self._halve([queries[index] for index in batch])
                continue
            order = order[len(batch) :]
            yield [
                Generated(index, tokens, "stop" if stopped else "length")
                for index, (tokens, stopped) in zip(batch, finished, strict=True)
            ]

    def _unless_out_of_memory(self, batch: Sequence[Query]) -> list[tuple[tuple[int, ...], bool]] | None:
        try:
            return complete(self.model, batch, self.stop_ids, self.sampling)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            return None

    def _halve(self, batch: Sequence[Query]) -> None:
        needed = tokens_of(batch)
        if len(batch) == 1:
            raise InputError(
                f"out of memory with a single response of up to {needed} tokens (prompt {len(batch[0].prompt)}, "
                f"new {batch[0].limit}): use a device with more memory or lower max_new_tokens"
            )
        self.batch_tokens = needed // 2
        log.warning("out of memory with %d tokens per batch; going on with batch_tokens %d", needed, self.batch_tokens)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _is_out_of_memory(error: Exception) -> bool:
    # PyTorch raises a class of its own on accelerators only; on the CPU its allocator's error is known by its text.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


@torch.inference_mode()
def complete(
    model: Any, batch: Sequence[Query], stop_ids: Collection[int], sampling: Sampling
) -> list[tuple[tuple[int, ...], bool]]:
    """For each query of one batch its new tokens without the end-of-turn token, and whether that token came.

    Prompts are padded on the left, so that all rows draw the same position of their responses at once; rows that
    have ended leave the batch. Raises `InputError` when the model's logits are no numbers.
    """
    prompts = list(dict.fromkeys(query.prompt for query in batch))
    width = max(len(prompt) for prompt in prompts)
    ids, mask = _padded(prompts, width, max(query.limit for query in batch), model.device)
    positions = (mask[:, :width].cumsum(dim=1) - 1).clamp(min=0)
    output = model(
        input_ids=ids, attention_mask=mask[:, :width], position_ids=positions, use_cache=True, logits_to_keep=1
    )
    if output.logits.isnan().any():
        raise InputError("the model's logits are no numbers (NaN): its training diverged, or its weights are damaged")
    cache = output.past_key_values
    place = {prompt: number for number, prompt in enumerate(prompts)}
    logits, mask = _rows([place[query.prompt] for query in batch], cache, output.logits[:, -1], mask)

    tokens: list[list[int]] = [[] for _ in batch]
    stopped = [False] * len(batch)
    live = list(range(len(batch)))
    for step in range(max(query.limit for query in batch)):
        drawn = draw(logits, [batch[row].seed for row in live], [step] * len(live), sampling).tolist()
        going_on = []
        for number, (row, token) in enumerate(zip(live, drawn, strict=True)):
            stopped[row] = token in stop_ids
            if not stopped[row]:
                tokens[row].append(token)
                if len(tokens[row]) < batch[row].limit:
                    going_on.append(number)
        live = [live[number] for number in going_on]
        if not live:
            break
        _, mask = _rows(going_on, cache, logits, mask)
        output = model(
            input_ids=torch.tensor([[tokens[row][-1]] for row in live], device=model.device),
            attention_mask=mask[:, : width + step + 1],
            position_ids=mask[:, :width].sum(dim=1, keepdim=True) + step,
            past_key_values=cache,
            use_cache=True,
        )
        logits = output.logits[:, -1]
    return [(tuple(new), end) for new, end in zip(tokens, stopped, strict=True)]


def _padded(
    prompts: Sequence[tuple[int, ...]], width: int, most_new: int, device: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """The prompts' ids, padded on the left to `width`, and the mask over them and the tokens to come."""
    ids = torch.tensor([(0,) * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    mask = torch.ones((len(prompts), width + most_new), dtype=torch.int64, device=device)
    for row, prompt in enumerate(prompts):
        mask[row, : width - len(prompt)] = 0
    return ids, mask


def _rows(
    numbers: list[int], cache: Any, logits: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cache (in place), logits and mask with the rows of these numbers only, repeated where a number is."""
    if numbers == list(range(len(mask))):
        return logits, mask
    chosen = torch.tensor(numbers, device=mask.device)
    cache.batch_select_indices(chosen)
    return logits[chosen], mask[chosen]
