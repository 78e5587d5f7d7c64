"""The longest common subsequence of two token sequences, exactly and fast, and ROUGE-L from its length."""

from collections.abc import Hashable, Iterable, Mapping, Sequence


def positions(tokens: Sequence[Hashable]) -> dict[Hashable, int]:
    """Per token the set of its positions in `tokens`, as the bits of an integer."""
    found: dict[Hashable, int] = {}
    for position, token in enumerate(tokens):
        found[token] = found.get(token, 0) | 1 << position
    return found


def lcs_length(first_positions: Mapping[Hashable, int], first_length: int, second: Iterable[Hashable]) -> int:
    """The length of the longest common subsequence, one row of the table at a time as bits of an integer.

    `first_positions` are the `positions` of the first sequence. A zero bit marks a position where the table's row
    steps up by one, so the zeros of the last row are the length. Source: Hyyrö, "Bit-parallel LCS-length computation
    revisited", AWOCA 2004.
    """
    everywhere = (1 << first_length) - 1
    row = everywhere
    for token in second:
        matches = first_positions.get(token)
        if matches is not None:
            step = row & matches
            row = (row + step | row - step) & everywhere
    return first_length - row.bit_count()


def rouge_l(common: int, first_length: int, second_length: int) -> float:
    """ROUGE-L F (0 to 1) of two sequences whose longest common subsequence is `common` tokens long.

    The same floating-point operations as in rouge-score 0.1.2, so that comparisons with a threshold agree; the
    formula is symmetric, in floating point too.
    """
    if not common:
        return 0.0
    precision = common / first_length
    recall = common / second_length
    return 2 * precision * recall / (precision + recall)
