"""How alike two texts are: the measures that the simulated judge grades by."""

import re
from collections import Counter
from collections.abc import Sequence

# Words that any two English texts share; they would make unrelated texts look alike.
FUNCTION_WORDS = (
    "a an and are as at be been but by can did do does for from had has have he her his i if in into is it its me my "
    "no not of on or our she so some such than that the their them then there these they this to up was we were what "
    "when which who will with would you your"
)
_FUNCTION_WORDS = frozenset(FUNCTION_WORDS.split())


def words(text: str) -> list[str]:
    """The words of a text in lower case, function words left out unless there are no others."""
    found = re.findall(r"\w+|[^\w\s]+", text.lower())
    spoken = [word for word in found if word[0].isalnum() or word[0] == "_"]
    return [word for word in spoken if word not in _FUNCTION_WORDS] or spoken or found


def common_subsequence(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest common subsequence, bit-parallel (Hyyrö 2004, section 4)."""
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | 1 << place
    everything = (1 << len(one)) - 1
    open_places = everything
    for word in other:
        matched = open_places & places.get(word, 0)
        open_places = (open_places + matched | open_places - matched) & everything
    return len(one) - open_places.bit_count()


def similarity(response: str, reference: str) -> float:
    """The F-measure of the words that both texts have in the same order (ROUGE-L), 0 to 1."""
    one, other = words(response), words(reference)
    if not one or not other:
        return 0.0
    return 2 * common_subsequence(one, other) / (len(one) + len(other))


def precision(response: str, reference: str) -> float:
    """How much of what the reference says is said, and how much of what is said belongs there, 0 to 1.

    Regardless of order: the share of the reference's words that occur, weighted two to one against the share of
    the response's words that are the reference's.
    """
    one, other = Counter(words(response)), Counter(words(reference))
    if not one or not other:
        return 0.0
    shared = (one & other).total()
    return (2 * shared / other.total() + shared / one.total()) / 3
