"""Pages of a list: `limit`, and an opaque `cursor` that names the last row seen (or an `offset`)."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from shared.platform.errors import InvalidCursor


class Query(BaseModel):
    """Base of query-string models: unknown parameters are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Page(Query):
    """The parameters that every list takes."""

    limit: int = Field(default=50, ge=1, le=1000, description="Most items to answer.")
    cursor: str | None = Field(default=None, max_length=512, description="`next_cursor` of the page before.")
    offset: int = Field(default=0, ge=0, le=1_000_000, description="Items to skip; prefer `cursor`.")

    def after(self, size: int) -> list[Any] | None:
        """The sort key of the last row of the page before: `size` values, or None on the first page."""
        if self.cursor is None:
            return None
        try:
            values = json.loads(base64.urlsafe_b64decode(self.cursor.encode() + b"=="))
        except (binascii.Error, ValueError) as error:
            raise InvalidCursor(field="cursor", reason="it can't be decoded") from error
        if (
            not isinstance(values, list)
            or len(values) != size
            or not all(isinstance(v, str | int) for v in values)
        ):
            raise InvalidCursor(field="cursor", reason="it belongs to another list")
        return values


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
