"""Which samples are computed together: neighbours in length, as many as the token budget holds."""

from collections.abc import Sequence

from llamaduo.inference.engine import Query


def longest_first(queries: Sequence[Query]) -> list[int]:
    """The queries' indices by the length of the prompt, the longest first, the samples of a prompt side by side.

    Neighbours need the least padding, and what memory runs out on comes first.
    """
    first_of: dict[tuple[int, ...], int] = {}
    for index, query in enumerate(queries):
        first_of.setdefault(query.prompt, index)
    return sorted(range(len(queries)), key=lambda i: (-len(queries[i].prompt), first_of[queries[i].prompt], i))


def tokens_of(batch: Sequence[Query]) -> int:
    """Tokens that a batch grows to at most: rows times (longest prompt + most new tokens)."""
    return len(batch) * (max(len(query.prompt) for query in batch) + max(query.limit for query in batch))


def next_batch(queries: Sequence[Query], order: Sequence[int], budget: int) -> list[int]:
    """The first indices of `order` whose queries keep within `budget` tokens; one at least, whatever it needs."""
    batch: list[int] = []
    longest = most_new = 0
    for index in order:
        longest = max(longest, len(queries[index].prompt))
        most_new = max(most_new, queries[index].limit)
        if batch and (len(batch) + 1) * (longest + most_new) > budget:
            break
        batch.append(index)
    return batch
