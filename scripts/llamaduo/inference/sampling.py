"""One token per row from its logits, by the row's own noise.

The draw is Gumbel-max (Gumbel, 1954): argmax of logit / temperature + noise. Besides being exact, it is the draw
that minds small changes of the logits least: logits computed in batches of different shapes differ in their last
bits, and two slightly different distributions under the same noise draw different tokens with a probability of at
most twice the distance between them (Daliri, Musco and Suresh, 2024, "Coupling without communication and
drafter-invariant speculative decoding"). Inverting the cumulative distribution would move with every error before
the token.
"""

from dataclasses import dataclass

import torch

from llamaduo.inference.noise import gumbel, sequence_start


@dataclass(frozen=True)
class Sampling:
    """temperature: 0 or more, 0 takes the argmax; top_k: 0 for all tokens; top_p: above 0, 1 for all tokens."""

    temperature: float
    top_k: int = 0
    top_p: float = 1.0


def draw(logits: torch.Tensor, seeds: list[int], positions: list[int], sampling: Sampling) -> torch.Tensor:
    """One token id per row, [rows] int64.

    logits: [rows, vocabulary]; seeds: one of 64 bits per row; positions: each row's count of tokens drawn so far.
    Only a row's own logits, seed and position matter to it.
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    scores = logits.to(torch.float64) / sampling.temperature
    scores, tokens = candidates(scores, sampling)
    starts = [sequence_start(seed, position) for seed, position in zip(seeds, positions, strict=True)]
    chosen = gumbel(starts, tokens).add_(scores).argmax(dim=-1, keepdim=True)
    return tokens.expand(scores.shape).gather(1, chosen).squeeze(1)


def candidates(scores: torch.Tensor, sampling: Sampling) -> tuple[torch.Tensor, torch.Tensor]:
    """The scores that take part in the draw and their token ids, top_k first, then top_p among what it left.

    scores: [rows, vocabulary]. Gives [rows, candidates], -inf for those left out, and [rows or 1, candidates].
    """
    vocabulary = scores.shape[-1]
    narrowed = 0 < sampling.top_k < vocabulary
    if not narrowed and sampling.top_p >= 1:
        return scores, torch.arange(vocabulary, device=scores.device)[None]
    scores, tokens = scores.topk(sampling.top_k if narrowed else vocabulary, dim=-1, sorted=True)
    if sampling.top_p < 1:
        shares = scores.softmax(dim=-1)
        before = shares.cumsum(dim=-1) - shares
        scores = scores.masked_fill(before >= sampling.top_p, float("-inf"))
    return scores, tokens
