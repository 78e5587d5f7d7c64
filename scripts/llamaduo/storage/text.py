"""Text that others wrote: made safe to store, and made comparable."""

import unicodedata


def storable(text: str) -> str:
    """`text` without NUL characters and with U+FFFD for halves of surrogate pairs, which UTF-8 cannot hold."""
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def normalised(text: str) -> str:
    """`text` such that spellings that a reader takes for the same compare equal: NFKC, case and white space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
