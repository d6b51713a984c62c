"""Characters that no store holds: NUL, which Postgres refuses, and halves of surrogate pairs, which UTF-8 has not.

What a client sends with either is refused at the edge. A warehouse's cells and a model's words can't be sent back,
so they are kept with a mark in its place.
"""

INSTEAD = "\ufffd"
"""What Unicode itself writes for a character that could not be read."""


def storable(text: str) -> str:
    """The text with U+FFFD for each NUL and each half of a surrogate pair; two halves that fit become one whole."""
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", INSTEAD)
