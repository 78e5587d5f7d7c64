"""What the processes of one training do together: sum gradients and losses, agree on what comes next, wait."""

from collections.abc import Iterable

import torch
import torch.distributed as dist

LARGEST_BUCKET = 64 * 2**20
"""Numbers that are summed in one message."""


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if processes() > 1 else 0


def sum_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Add up the gradients of all processes, in place.

    Once per optimiser step, after its last pass: the processes may differ in their numbers of passes, and one that ran
    out of memory may begin its step again.
    """
    if processes() == 1:
        return
    bucket: list[torch.nn.Parameter] = []
    size = 0
    for parameter in parameters:
        if not parameter.requires_grad:
            continue
        bucket.append(parameter)
        size += parameter.numel()
        if size >= LARGEST_BUCKET:
            _sum_bucket(bucket)
            bucket, size = [], 0
    if bucket:
        _sum_bucket(bucket)


def _sum_bucket(bucket: list[torch.nn.Parameter]) -> None:
    for parameter in bucket:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in bucket if parameter.grad is not None]
    flat = torch.cat([gradient.flatten().float() for gradient in gradients])
    dist.all_reduce(flat)
    for gradient, summed in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))


def summed(values: torch.Tensor) -> torch.Tensor:
    """The sum of a tensor over the processes."""
    if processes() > 1:
        dist.all_reduce(values)
    return values


def any_of(flags: list[bool], device: torch.device) -> list[bool]:
    """For each flag, whether any process raised it: what all of them then act by."""
    if processes() == 1:
        return flags
    raised = torch.tensor([int(flag) for flag in flags], device=device)
    dist.all_reduce(raised, op=dist.ReduceOp.MAX)
    return [bool(flag) for flag in raised.tolist()]


def wait() -> None:
    """Go on when every process has come here."""
    if processes() > 1:
        dist.barrier()
