"""Memory that ran out: how it is told from other errors, and what is given back before another try."""

import gc

import torch

SAID_OTHERWISE = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""Errors without a class of their own: of PyTorch's allocator on the CPU, and of the GPU's matrix library."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(said in str(error) for said in SAID_OTHERWISE)


def free_memory() -> None:
    """Give back what nothing refers to any more, and what PyTorch keeps of the GPU for later."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
