"""The tensors of a forward pass, and the loader that hands a trainer the examples of one optimiser step at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from llamaduo.training.examples import IGNORED, Example
from llamaduo.training.steps import steps_of_epoch, steps_per_epoch


def packed(examples: Sequence[Example], learned: bool = True) -> dict[str, Any]:
    """Examples end to end: `input_ids`, `labels` and `position_ids` of shape (1, tokens), and where each begins.

    `cu_seq_lens_q` and `_k`, of shape (examples + 1,), are the boundaries as the flash kernels take them, and
    `segment_lengths` the lengths as plain numbers. The label of each example's first token is ignored: nothing
    predicts it. `learned=False`: no token is learned, for a process that only keeps others company.
    """
    lengths = [len(example.input_ids) for example in examples]
    labels = torch.cat([torch.from_numpy(example.labels).long() for example in examples])
    boundaries = torch.tensor([0, *lengths]).cumsum(0)
    labels[boundaries[:-1]] = IGNORED
    if not learned:
        labels[:] = IGNORED
    return {
        "input_ids": torch.cat([torch.from_numpy(example.input_ids).long() for example in examples])[None],
        "labels": labels[None],
        "position_ids": torch.cat([torch.arange(length) for length in lengths])[None],
        "cu_seq_lens_q": boundaries.to(torch.int32),
        "cu_seq_lens_k": boundaries.to(torch.int32),
        "max_length_q": max(lengths),
        "max_length_k": max(lengths),
        "segment_lengths": tuple(lengths),
    }


def padded(examples: Sequence[Example], padding: int, learned: bool = True) -> dict[str, Any]:
    """Examples padded on the right: `input_ids`, `labels` and `attention_mask` of shape (examples, longest)."""
    width = max(len(example.input_ids) for example in examples)
    ids = torch.full((len(examples), width), padding)
    labels = torch.full((len(examples), width), IGNORED)
    mask = torch.zeros((len(examples), width), dtype=torch.long)
    for row, example in enumerate(examples):
        length = len(example.input_ids)
        ids[row, :length] = torch.from_numpy(example.input_ids)
        mask[row, :length] = 1
        if learned:
            labels[row, 1:length] = torch.from_numpy(example.labels)[1:]
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def learned_tokens(examples: Sequence[Example]) -> int:
    """The tokens that the loss of these examples is summed over."""
    return sum(min(example.completion, len(example.input_ids) - 1) for example in examples)


def tokens(examples: Sequence[Example]) -> int:
    """The tokens of these examples, padding not counted."""
    return sum(len(example.input_ids) for example in examples)


class StepSampler(Sampler[list[int]]):
    """The examples' numbers, step by step, in the order of the epoch that was set last."""

    def __init__(self, examples: int, per_step: int, seed: int) -> None:
        self.examples, self.per_step, self.seed, self.epoch = examples, per_step, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, numbered from 0."""
        self.epoch = epoch

    def __len__(self) -> int:
        return steps_per_epoch(self.examples, self.per_step)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(steps_of_epoch(self.examples, self.per_step, self.seed, self.epoch))


class StepLoader(DataLoader[Any]):
    """One item per optimiser step: `{"examples": [...]}`, the same on every process."""

    def __init__(self, examples: Sequence[Example], per_step: int, seed: int) -> None:
        sampler = StepSampler(len(examples), per_step, seed)
        generator = torch.Generator()  # its own, so that a new epoch draws nothing from the random state of dropout
        super().__init__(list(examples), batch_sampler=sampler, collate_fn=_as_item, generator=generator)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the steps follow."""
        self.batch_sampler.set_epoch(epoch)


def _as_item(examples: list[Example]) -> dict[str, list[Example]]:
    return {"examples": examples}
