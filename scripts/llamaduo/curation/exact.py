"""Exact duplicates: pairs that are equal once both texts are normalised."""

from hashlib import blake2b

from llamaduo.curation.pairs import Pair, Rejection

DIGEST_BYTES = 16


class ExactFilter:
    """The filter `exact`: instruction and response both equal those of a pair seen before."""

    def __init__(self) -> None:
        self._identifiers: dict[bytes, str] = {}

    def check(self, pair: Pair) -> Rejection | None:
        identifier = self._identifiers.get(_key(pair))
        return None if identifier is None else Rejection("exact_duplicate", identifier, 1.0)

    def add(self, pair: Pair) -> None:
        self._identifiers.setdefault(_key(pair), pair.identifier)


def _key(pair: Pair) -> bytes:
    """A digest that takes the place of both texts, which would need their memory a second time."""
    texts = f"{len(pair.normalised_instruction)}:{pair.normalised_instruction}{pair.normalised_response}"
    return blake2b(texts.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()
