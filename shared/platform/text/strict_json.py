"""JSON as people may send it: one meaning or a refusal.

Python's decoder accepts NaN, Infinity, duplicate keys and lone surrogates, and recurses as deep as the
text asks. Each of these has let two readers of one message disagree, so they are refused here, before
any model sees the value.
"""

import json
import math
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from shared.platform import clock
from shared.platform.errors import MalformedJson
from shared.platform.text import numerals

MAX_DEPTH = 64
_TOO_LARGE = "a number is too large"


def loads(raw: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """The value of a UTF-8 JSON text; raises MalformedJson with the reason."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedJson(
            "The body is not UTF-8.", reason=f"byte {error.start} is not valid UTF-8"
        ) from None
    _check_depth(text, max_depth)
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
        )
    except _Refused as refused:
        raise MalformedJson(f"The body is not valid JSON: {refused}.", reason=str(refused)) from None
    except (ValueError, RecursionError) as error:
        raise MalformedJson("The body is not valid JSON.", reason=_where(error)) from None
    _check_values(value)
    return value


def dumps(value: Any) -> bytes:
    """Compact JSON bytes; datetimes as RFC 3339, decimals and UUIDs as text. NaN is a bug and raises."""
    return json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain
    ).encode()


def canonical(value: Any) -> bytes:
    """The same bytes for equal values: sorted keys, no spaces. For hashes and keys."""
    return json.dumps(
        value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=True, default=_plain
    ).encode()


class _Refused(Exception):
    pass


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return clock.iso(value)
        case date() | UUID() | Decimal():
            return str(value)
        case set() | frozenset() | tuple():
            return sorted(value) if isinstance(value, set | frozenset) else list(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_none=False)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Refused(f"the key {key[:60]!r} stands twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise _Refused(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Refused(_TOO_LARGE)
    return number


def _check_depth(text: str, limit: int) -> None:
    depth, quoted, escaped = 0, False, False
    for character in text:
        if quoted:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                quoted = False
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            if depth > limit:
                raise MalformedJson(f"The body is nested deeper than {limit} levels.", reason="too deep")
        elif character in "]}":
            depth -= 1


def _check_values(value: Any) -> None:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if "\x00" in item:
                raise MalformedJson("A text contains a NUL character.", reason="NUL character")
            if any("\ud800" <= character <= "\udfff" for character in item):
                raise MalformedJson("A text contains half a surrogate pair.", reason="lone surrogate")
        elif isinstance(item, int):
            if not numerals.fits(item):
                raise MalformedJson(f"The body is not valid JSON: {_TOO_LARGE}.", reason=_TOO_LARGE)
        elif isinstance(item, dict):
            stack.extend(item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _where(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    if isinstance(error, ValueError):
        return _TOO_LARGE  # Python reads whole numbers of up to 4,300 digits.
    return "the text can't be decoded"
