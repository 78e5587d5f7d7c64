"""Keys and values of the rows of a batch, with room for the tokens to come.

transformers' own cache copies all keys and values for every token that is added. Here a token is written into room
that was made for many, and rows join and leave by one copy of those that stay.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from llamaduo.cli.errors import InputError

ROOM = 64
"""Columns that are made at a time, at least; more for wider batches, so that few copies are made. GPU kernels want a
multiple of 8."""


class RowsLayer(DynamicLayer):
    """One layer's keys and values: a window of columns on buffers of [rows, heads, columns and room, dimensions]."""

    is_initialized: bool

    def __init__(self) -> None:
        super().__init__()
        self._key_buffer: Any = None
        self._value_buffer: Any = None
        self._place: torch.Tensor | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the columns of new tokens and give all columns back; the first ones are kept as they are."""
        if not self.is_initialized:
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
            self._key_buffer, self._value_buffer = key_states, value_states
            self.keys, self.values = key_states, value_states
            return self.keys, self.values
        if self._place is not None:
            self._key_buffer.index_copy_(2, self._place, key_states)
            self._value_buffer.index_copy_(2, self._place, value_states)
            return self._key_buffer, self._value_buffer
        before = self.keys.shape[-2]
        after = before + key_states.shape[-2]
        if after > self._key_buffer.shape[-2]:
            self._key_buffer = _with_room(self._key_buffer, after)
            self._value_buffer = _with_room(self._value_buffer, after)
        self._key_buffer[:, :, before:after] = key_states
        self._value_buffer[:, :, before:after] = value_states
        self.keys, self.values = self._key_buffer[:, :, :after], self._value_buffer[:, :, :after]
        return self.keys, self.values

    def fix(self, columns: int, place: torch.Tensor) -> int:
        """From now on give back all columns that there is room for, and put new ones in `place`; their number."""
        if columns == self._key_buffer.shape[-2]:
            self._key_buffer = _with_room(self._key_buffer, columns)
            self._value_buffer = _with_room(self._value_buffer, columns)
        # What attention leaves out is multiplied by zero, and must be a number for that.
        self._key_buffer[:, :, columns:] = 0
        self._value_buffer[:, :, columns:] = 0
        self._place = place
        return int(self._key_buffer.shape[-2])

    def free(self, columns: int) -> None:
        """Be a window of so many columns again."""
        self._place = None
        self.keys, self.values = self._key_buffer[:, :, :columns], self._value_buffer[:, :, :columns]

    def arrange(self, parts: Sequence[tuple["RowsLayer", torch.Tensor]], columns: int) -> None:
        """Become the last `columns` columns of these rows of these layers, one part below the other."""
        self._key_buffer = _gathered([(layer.keys, rows) for layer, rows in parts], columns)
        self._value_buffer = _gathered([(layer.values, rows) for layer, rows in parts], columns)
        self.keys, self.values = self._key_buffer[:, :, :columns], self._value_buffer[:, :, :columns]


def new_cache() -> Cache:
    """An empty cache; its rows and first columns are those of the prompts that are put through the model."""
    return Cache(layer_class_to_replicate=RowsLayer)


def arrange(cache: Cache, parts: Sequence[tuple[Cache, torch.Tensor]], columns: int) -> None:
    """Make `cache` hold these rows of these caches, aligned at their last columns; one of them may be itself.

    Layer by layer, so that only one layer's keys and values are in memory twice.
    """
    for number, layer in enumerate(cache.layers):
        layer.arrange([(other.layers[number], rows) for other, rows in parts], columns)


def check_attention(config: Any) -> None:
    """Raise `InputError` for a model that keeps something else than keys and values, such as the states of an SSM."""
    kinds = {type(layer) for layer in DynamicCache(config=config).layers}
    if other := kinds - {DynamicLayer, DynamicSlidingWindowLayer}:
        names = ", ".join(sorted(kind.__name__ for kind in other))
        raise InputError(
            f"the engine 'transformers' computes models of attention layers only, and this one has {names}: "
            "set inference.engine to 'vllm'"
        )


def _with_room(buffer: torch.Tensor, columns: int) -> torch.Tensor:
    """The buffer's columns in one that has at least `columns`, and room for more."""
    rows, heads, before, size = buffer.shape
    wider = buffer.new_empty((rows, heads, _width(columns), size))
    wider[:, :, :before] = buffer
    return wider


def _gathered(parts: Sequence[tuple[torch.Tensor, torch.Tensor]], columns: int) -> torch.Tensor:
    states = parts[0][0]
    total = sum(len(rows) for _, rows in parts)
    buffer = states.new_empty((total, states.shape[1], _width(columns), states.shape[3]))
    first = 0
    for one, rows in parts:
        start = columns - one.shape[-2]
        target = buffer[first : first + len(rows)]
        # What attention leaves out is multiplied by zero, and must be a number for that.
        target[:, :, : max(start, 0)] = 0
        target[:, :, max(start, 0) : columns] = one[:, :, max(-start, 0) :][rows]
        first += len(rows)
    return buffer


def _width(columns: int) -> int:
    """So many columns and room for more, in multiples of `ROOM`."""
    return -(-(columns + max(ROOM, columns // 4)) // ROOM) * ROOM
