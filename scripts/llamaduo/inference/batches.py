"""Which samples are computed together: neighbours in length, as many as the token budget holds."""

from collections.abc import Sequence

from llamaduo.inference.engine import Query


def longest_first(queries: Sequence[Query]) -> list[int]:
    """The queries' indices by the length of the prompt, the longest first, the samples of a prompt side by side.

    Neighbours need the least padding, and what memory runs out on comes first. A prompt that joins a batch later is
    then no longer than what each row of the batch holds already.
    """
    first_of: dict[tuple[int, ...], int] = {}
    for index, query in enumerate(queries):
        first_of.setdefault(query.prompt, index)
    return sorted(range(len(queries)), key=lambda i: (-len(queries[i].prompt), first_of[queries[i].prompt], i))


def tokens_of(rows: int, width: int, to_come: int) -> int:
    """Tokens that a batch grows to at most: rows times (tokens that the longest row holds + most tokens to come)."""
    return rows * (width + to_come)


def joining(waiting: Sequence[Query], rows: int, width: int, to_come: int, budget: int) -> int:
    """How many of the waiting, in their order, join a batch of `rows` rows within `budget` tokens.

    width, to_come: as in `tokens_of`, of the rows that are there. An empty batch gets one at least, whatever it needs.
    """
    for number, query in enumerate(waiting):
        width, to_come = max(width, len(query.prompt)), max(to_come, query.limit)
        if rows + number and tokens_of(rows + number + 1, width, to_come) > budget:
            return number
    return len(waiting)
