"""One request, parsed; and pages of lists."""

import base64
import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from local.cloud.bigquery.auth import Caller
from local.cloud.bigquery.errors import BigQueryError, invalid
from local.cloud.bigquery.service import Service

PAGE_ROWS = 20_000
Answer = dict[str, Any] | Response | None


class Call:
    """One request, parsed: what every handler needs."""

    def __init__(self, request: Request, body: bytes, caller: Caller) -> None:
        self.request, self.raw, self.caller = request, body, caller
        self.path: dict[str, str] = request.path_params
        self.query = request.query_params

    @property
    def project(self) -> str:
        return self.path["project"]

    def body(self) -> dict[str, Any]:
        try:
            out = json.loads(self.raw or b"{}")
        except ValueError:
            raise BigQueryError(400, "parseError", "Parse Error: the body is not JSON") from None
        if not isinstance(out, dict):
            raise BigQueryError(400, "parseError", "Parse Error: the body is not a JSON object")
        return out

    def number(self, name: str, default: int) -> int:
        text = self.query.get(name)
        try:
            return default if text in (None, "") else int(str(text))
        except ValueError:
            raise invalid(f"Invalid value for {name}: {text}") from None

    @property
    def int_timestamps(self) -> bool:
        return self.query.get("formatOptions.useInt64Timestamp", "false").lower() == "true"


Handler = Callable[[Service, Call], Answer]


def token(offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"o": offset}).encode()).decode().rstrip("=")


def offset(call: Call) -> int:
    given = call.query.get("pageToken")
    if not given:
        return call.number("startIndex", 0)
    try:
        return int(json.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))["o"])
    except (ValueError, KeyError, TypeError):
        raise invalid("Invalid page token") from None


def listed(call: Call, items: list[Any], default: int = 1000) -> tuple[list[Any], dict[str, str]]:
    start, size = offset(call), max(1, min(call.number("maxResults", default), 10_000))
    more = {"nextPageToken": token(start + size)} if start + size < len(items) else {}
    return items[start : start + size], more
