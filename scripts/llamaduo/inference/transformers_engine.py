"""The engine on transformers: neighbours in length, one prefill for the samples of a prompt, places filled again.

A sample's randomness comes from its query alone. Its logits may still differ in the last bits between batches of
different shapes, because the matrix kernels then add in another order. In fp32 that is too little to change a token
but once in a very long while; in bf16, whose logits have three significant digits, now and then a response takes
another course. Such a response is as good a draw from the model as the other.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from llamaduo.cli.errors import InputError
from llamaduo.config.inference import InferenceSettings
from llamaduo.config.models import ModelSettings
from llamaduo.inference.batches import joining, longest_first, tokens_of
from llamaduo.inference.cache import check_attention
from llamaduo.inference.decoding import Batch, Row
from llamaduo.inference.engine import Generated, Query
from llamaduo.inference.recorded import Recording, recorder_for
from llamaduo.inference.sampling import Sampling
from llamaduo.models.out_of_memory import free_memory, is_out_of_memory
from llamaduo.models.weights import load_with_adapter

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
        """model: as transformers or PEFT load it; stop_ids: what ends a turn; batch_tokens: see `tokens_of`.

        Raises `InputError` for a model that has more than attention to remember.
        """
        self.model, self.stop_ids, self.sampling = model.eval(), frozenset(stop_ids), sampling
        self.batch_tokens = batch_tokens
        self.recording = Recording(recorder_for(model))
        config = model.config.get_text_config()  # of a model that also sees images: its language part
        check_attention(config)
        self.positions: int | None = getattr(config, "max_position_embeddings", None)

    def generate(self, queries: Sequence[Query]) -> Iterator[list[Generated]]:
        """Each query's sample exactly once, as they end, the longest prompts first.

        When memory runs out the batch starts again at half its tokens. Raises `InputError` when a single response
        does not fit.
        """
        order = longest_first(queries)
        waiting, batch = list(order), self._new_batch()
        while waiting or batch.live:
            finished = self._unless_out_of_memory(batch, queries, waiting)
            if finished is None:
                self._halve(batch.rows)
                unfinished = {row.index for row in batch.live} | set(waiting)
                waiting, batch = [index for index in order if index in unfinished], self._new_batch()
                free_memory()
            elif finished:
                yield finished

    def _new_batch(self) -> Batch:
        return Batch(self.model, self.stop_ids, self.sampling, self.recording)

    def _unless_out_of_memory(
        self, batch: Batch, queries: Sequence[Query], waiting: list[int]
    ) -> list[Generated] | None:
        """One step of the batch, and the responses that end with it; None when memory ran out."""
        try:
            return self._step(batch, queries, waiting)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return None

    @torch.inference_mode()
    def _step(self, batch: Batch, queries: Sequence[Query], waiting: list[int]) -> list[Generated]:
        if batch.live:
            batch.advance()
        if batch.is_due:
            rows = batch.live
            width, to_come = (max((getattr(row, name) for row in rows), default=0) for name in ("width", "to_come"))
            count = joining([queries[index] for index in waiting], len(rows), width, to_come, self.batch_tokens)
            batch.rearrange([Row(index, queries[index]) for index in waiting[:count]])
            del waiting[:count]
        return batch.draw()

    def _halve(self, rows: Sequence[Row]) -> None:
        needed = tokens_of(len(rows), max(row.width for row in rows), max(row.to_come for row in rows))
        if len(rows) == 1:
            raise InputError(
                f"out of memory with a single response of up to {needed} tokens (prompt {len(rows[0].query.prompt)}, "
                f"new {rows[0].query.limit}): use a device with more memory or lower max_new_tokens"
            )
        self.batch_tokens = needed // 2
        log.warning("out of memory with %d tokens per batch; going on with batch_tokens %d", needed, self.batch_tokens)
