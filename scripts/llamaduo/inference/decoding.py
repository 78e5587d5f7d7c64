"""A batch of responses in the making: prompts join it, each step adds a token to every row, rows that end leave it.

All rows add their tokens in the same column, and prompts are padded on the left. So the distances within a row, which
positions and attention windows rest on, are what they would be without the other rows.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from llamaduo.cli.errors import InputError
from llamaduo.inference.cache import arrange, new_cache
from llamaduo.inference.engine import Generated, Query
from llamaduo.inference.recorded import FixedStep, Recording
from llamaduo.inference.sampling import Sampling, draw

LEAVING_SHARE = 4
"""Rows that have ended leave when they are one part in so many of the batch: each leaving copies what stays."""
PADDING = 0
"""The token in places that no row looks at."""


@dataclass
class Row:
    """A response in the making: the query at `index` and the tokens so far, without the end-of-turn token."""

    index: int
    query: Query
    tokens: list[int] = field(default_factory=list)
    ended: bool = False

    @property
    def width(self) -> int:
        """Tokens that the row holds."""
        return len(self.query.prompt) + len(self.tokens)

    @property
    def to_come(self) -> int:
        """Tokens that it may still get."""
        return self.query.limit - len(self.tokens)


class Batch:
    """Rows that are computed together: their cache, and the logits that their next tokens are drawn from.

    A step is `advance`, `rearrange` where it `is_due`, `draw`; the first one begins with `rearrange`.
    """

    def __init__(self, model: Any, stop_ids: Collection[int], sampling: Sampling, recording: Recording) -> None:
        self.model, self.stop_ids, self.sampling = model, frozenset(stop_ids), sampling
        self.rows: list[Row] = []
        self._recording = recording
        self._fixed: FixedStep | None = None
        self._cache: Any = None
        self._logits: Any = None
        self._columns = 0
        self._starts = torch.empty(0, dtype=torch.int64)

    @property
    def live(self) -> list[Row]:
        """The rows that have not ended."""
        return [row for row in self.rows if not row.ended]

    @property
    def is_due(self) -> bool:
        """Whether so many rows have ended that it pays to let them leave and others join."""
        return LEAVING_SHARE * sum(row.ended for row in self.rows) >= len(self.rows)

    def rearrange(self, joining: Sequence[Row]) -> None:
        """Let the rows that have ended leave and new ones join; equal prompts go through the model once.

        Raises `InputError` when the model's logits are no numbers.
        """
        self._release()
        device = self.model.device
        kept = [number for number, row in enumerate(self.rows) if not row.ended]
        self.rows = rows = [*self.live, *joining]
        columns = max((row.width for row in rows), default=0)
        parts, logits = [], []
        if kept:
            chosen = torch.tensor(kept, device=device)
            parts.append((self._cache, chosen))
            logits.append(self._logits[chosen])
        if joining:
            prompts = list(dict.fromkeys(row.query.prompt for row in joining))
            place = {prompt: number for number, prompt in enumerate(prompts)}
            chosen = torch.tensor([place[row.query.prompt] for row in joining], device=device)
            cache, last = prefill(self.model, prompts)
            parts.append((cache, chosen))
            logits.append(last[chosen])
        if not rows:
            self._cache = self._logits = None
            return
        self._cache, self._columns, self._logits = parts[0][0], columns, torch.cat(logits)
        arrange(self._cache, parts, columns)
        self._starts = torch.tensor([columns - row.width for row in rows], device=device)

    def draw(self) -> list[Generated]:
        """Draw the next token of every live row; the responses that end with it."""
        live = [number for number, row in enumerate(self.rows) if not row.ended]
        rows = [self.rows[number] for number in live]
        logits = self._logits if len(live) == len(self.rows) else self._logits[torch.tensor(live)]
        seeds, positions = [row.query.seed for row in rows], [len(row.tokens) for row in rows]
        finished = []
        for row, token in zip(rows, draw(logits, seeds, positions, self.sampling).tolist(), strict=True):
            stops = token in self.stop_ids
            if not stops:
                row.tokens.append(token)
            row.ended = stops or not row.to_come
            if row.ended:
                finished.append(Generated(row.index, tuple(row.tokens), "stop" if stops else "length"))
        return finished

    def advance(self) -> None:
        """Put the drawn tokens through the model; rows that have ended, and not left, take part with a dummy token."""
        given = torch.tensor(
            [[PADDING, 0] if row.ended else [row.tokens[-1], row.width - 1] for row in self.rows],
            device=self.model.device,
        )
        column = self._columns
        if self._recording.recorder is None or (self._fixed and column == self._fixed.width):
            self._release()
        if self._recording.recorder is None:
            self._logits = self._ordinary(given)
        else:
            self._fixed = self._fixed or FixedStep(self.model, self._cache, self._starts, column)
            self._logits = self._fixed.advance(given, column, self._recording)
            if not self._recording.is_checked:
                self._release()
                fixed, self._logits = self._logits, self._ordinary(given)
                self._recording.check(fixed, self._logits)
        self._columns += 1

    def _ordinary(self, given: torch.Tensor) -> torch.Tensor:
        columns = torch.arange(self._columns + 1, device=self.model.device)
        logits: torch.Tensor = self.model(
            input_ids=given[:, :1],
            attention_mask=(columns >= self._starts[:, None]).long(),
            position_ids=given[:, 1:],
            cache=self._cache,
            use_cache=True,
        ).logits[:, -1]
        return logits

    def _release(self) -> None:
        """Have the cache hold the columns so far and no more."""
        if self._fixed is not None:
            self._fixed.end(self._columns)
            self._fixed = None


def prefill(model: Any, prompts: Sequence[tuple[int, ...]]) -> tuple[Any, torch.Tensor]:
    """The cache of these prompts, padded on the left, and the logits after each, [prompts, vocabulary].

    Raises `InputError` when the logits are no numbers.
    """
    width = max(map(len, prompts))
    padded = [(PADDING,) * (width - len(prompt)) + prompt for prompt in prompts]
    starts = torch.tensor([width - len(prompt) for prompt in prompts], device=model.device)
    mask = (torch.arange(width, device=model.device) >= starts[:, None]).long()
    cache = new_cache()
    logits = model(
        input_ids=torch.tensor(padded, device=model.device),
        attention_mask=mask,
        position_ids=(mask.cumsum(dim=1) - 1).clamp(min=0),
        cache=cache,
        use_cache=True,
        logits_to_keep=1,
    ).logits[:, -1]
    if logits.isnan().any():
        raise InputError("the model's logits are no numbers (NaN): its training diverged, or its weights are damaged")
    return cache, logits
