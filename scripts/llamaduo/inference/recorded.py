"""Decoding steps that a GPU is given as one piece (a CUDA graph) instead of as thousands of kernels, one by one.

For a batch of ordinary size a GPU computes a step in less time than a processor takes to launch its kernels. A recorded
step runs the same kernels on the same addresses again, so everything that changes from step to step must be data: the
tokens and positions, the column that the new keys and values go to, and which columns each row sees. Therefore it looks
at all columns that the cache has room for, and a mask leaves out those that are not written yet.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from llamaduo.models.out_of_memory import is_out_of_memory

log = logging.getLogger(__name__)

LARGEST_DIFFERENCE = 0.2
"""Relative, of a fixed step's logits from those of an ordinary one. Another kernel's rounding in bf16 makes up to 0.05,
a column too many or too few, or a mask that the model does not heed, about 1."""

Work = Callable[[], torch.Tensor]
"""A step, and what does it again into the same tensor."""
Recorder = Callable[[Work], Work]
"""Records what a step does. It has been done before, so that nothing is set up while it is recorded."""


def recorder_for(model: Any) -> Recorder | None:
    """How steps of this model are recorded; None where they cannot be, or where nothing is won: on a CPU.

    There is one mask, so all layers must see all columns; and it is made for PyTorch's own attention.
    """
    config = model.config.get_text_config()
    if model.device.type != "cuda" or config._attn_implementation != "sdpa":
        return None
    if any(type(layer) is not DynamicLayer for layer in DynamicCache(config=config).layers):
        return None
    return cuda_graph


def cuda_graph(work: Work) -> Work:
    """Record a step as a CUDA graph."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = work()

    def again() -> torch.Tensor:
        graph.replay()
        return logits

    return again


class Recording:
    """How the steps of a model are recorded, until that fails or gives other logits than the ordinary step."""

    def __init__(self, recorder: Recorder | None) -> None:
        self.recorder, self.is_checked = recorder, False

    def check(self, logits: torch.Tensor, ordinary: torch.Tensor) -> None:
        """Record no more where a step's logits are not those that the ordinary step has."""
        self.is_checked = True
        expected = ordinary.float()
        if not bool((logits.float() - expected).norm() <= LARGEST_DIFFERENCE * expected.norm()):
            self.give_up("its logits would not be those of an ordinary step")

    def give_up(self, why: str) -> None:
        """Record no more."""
        log.warning("decoding steps of this model are not recorded, which takes longer: %s", why)
        self.recorder = None


class FixedStep:
    """The steps of a batch while its rows stay the same and its cache has room."""

    def __init__(self, model: Any, cache: Any, starts: torch.Tensor, columns: int) -> None:
        """cache: of so many `columns`; starts: the first column of each row that is its own, [rows]."""
        self._model, self._cache = model, cache
        device = starts.device
        self._place = torch.full((1,), columns, device=device)
        self._given = torch.zeros((len(starts), 2), dtype=torch.int64, device=device)
        (self.width,) = {layer.fix(columns, self._place) for layer in cache.layers}
        column = torch.arange(self.width, device=device)
        self._mask = ((column >= starts[:, None]) & (column < columns))[:, None, None, :]
        self._is_ready = False
        self._again: Work | None = None

    def advance(self, given: torch.Tensor, column: int, recording: Recording) -> torch.Tensor:
        """The logits after one more token of each row, [rows, vocabulary]; the next step may overwrite them.

        given: tokens and positions, [rows, 2]; column: where their keys and values go.
        """
        self._given.copy_(given)
        self._place.fill_(column)
        self._mask[..., column] = True
        if self._is_ready and self._again is None and recording.recorder is not None:
            self._again = self._recorded(recording)
        self._is_ready = True
        return self._work() if self._again is None else self._again()

    def end(self, columns: int) -> None:
        """Give the cache back as one of so many columns."""
        self._again = None
        for layer in self._cache.layers:
            layer.free(columns)

    def _recorded(self, recording: Recording) -> Work | None:
        try:
            return recording.recorder(self._work) if recording.recorder else None
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            recording.give_up(str(error).splitlines()[0])
            return None

    def _work(self) -> torch.Tensor:
        logits: torch.Tensor = self._model(
            input_ids=self._given[:, :1],
            attention_mask=self._mask,
            position_ids=self._given[:, 1:],
            cache=self._cache,
            use_cache=True,
        ).logits[:, -1]
        return logits
