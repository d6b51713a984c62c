"""Pages of a list that is wholly known, with the offset as the token."""

from collections.abc import Sequence
from typing import TypeVar

from local.cloud.serving.grpc_server import Code, Refused

T = TypeVar("T")


def page(found: Sequence[T], token: str, size: int) -> tuple[list[T], str]:
    """One page and the next page's token, '' at the end. Refuses a token or size of another making."""
    if token and not (token.isascii() and token.isdigit()):
        raise Refused(Code.INVALID_ARGUMENT, "page_token was not made by this server.")
    if size < 0:
        raise Refused(Code.INVALID_ARGUMENT, "page_size is negative.")
    start = int(token or 0)
    end = start + size
    return list(found[start:end]), str(end) if end < len(found) else ""
