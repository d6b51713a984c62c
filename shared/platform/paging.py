"""Pages of a list: `limit`, and an opaque `cursor` that names the last row seen (or an `offset`).

A cursor comes back from a client, so it is read as strictly as a body: a list says of which kinds its sort
key's values are, and a cursor that holds anything else belongs to another list.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from shared.platform.errors import InvalidCursor
from shared.platform.ids import is_id

Kind = Literal["instant", "id", "text", "number"]
MOST_NUMBER = 2**31 - 1
"""Postgres' `integer`: positions and versions."""


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be between the years 1 and 9999 in UTC") from None


Instant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A point in time that a client gives, in UTC: one that another offset puts beyond the calendar is refused."""


class Query(BaseModel):
    """Base of query-string models: unknown parameters are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Page(Query):
    """The parameters that every list takes."""

    limit: int = Field(default=50, ge=1, le=1000, description="Most items to answer.")
    cursor: str | None = Field(default=None, max_length=512, description="`next_cursor` of the page before.")
    offset: int = Field(default=0, ge=0, le=1_000_000, description="Items to skip; prefer `cursor`.")

    def after(self, *kinds: Kind) -> list[Any]:
        """The sort key of the last row of the page before, of these kinds; as many None on the first page.

        Raises InvalidCursor.
        """
        if self.cursor is None:
            return [None] * len(kinds)
        try:
            values = json.loads(base64.urlsafe_b64decode(self.cursor.encode() + b"=="))
        except (binascii.Error, ValueError) as error:
            raise InvalidCursor(field="cursor", reason="it can't be decoded") from error
        if not isinstance(values, list) or len(values) != len(kinds):
            raise InvalidCursor(field="cursor", reason="it belongs to another list")
        try:
            return [_READ[kind](value) for kind, value in zip(kinds, values, strict=True)]
        except (ValueError, TypeError) as error:
            raise InvalidCursor(field="cursor", reason="it belongs to another list") from error


def cursor(*values: str | int) -> str:
    """The opaque cursor of a row's sort key."""
    return base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode().rstrip("=")


def cut(
    rows: list[dict[str, Any]], limit: int, *sort_key: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Split the extra row off a query made with LIMIT limit + 1; answers the page and its paging fields."""
    page = rows[:limit]
    more = len(rows) > limit
    following = cursor(*(_plain(page[-1][name]) for name in sort_key)) if more else None
    return page, {"has_more": more, "next_cursor": following}


def _plain(value: Any) -> str | int:
    return (
        value
        if isinstance(value, str | int)
        else value.isoformat()
        if hasattr(value, "isoformat")
        else str(value)
    )


def _instant(value: Any) -> datetime:
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError("an instant without a zone")
    return _in_utc(at)


def _id(value: Any) -> str:
    if not isinstance(value, str) or not is_id(value):
        raise ValueError("not an id")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a text that Postgres can hold")
    value.encode()  # Half a surrogate pair is a UnicodeEncodeError, which is a ValueError.
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_NUMBER:
        raise ValueError("not a number of this list")
    return value


_READ: Mapping[str, Callable[[Any], Any]] = {
    "instant": _instant,
    "id": _id,
    "text": _text,
    "number": _number,
}
