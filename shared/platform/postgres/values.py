"""How values travel to Postgres: a list as an array or as JSON, by what the statement says of its parameter.

    :tags::text[], :ids::uuid[]   an array literal in which every text is quoted
    anything else                 JSON, for jsonb columns and jsonb_to_recordset

The driver's own encoder of arrays quotes some texts only: `null` in any case but upper, or a text with a quote
in it, would not arrive as it was sent. So no list reaches the driver.

Postgres holds neither a NUL nor half a surrogate pair. The edges refuse both; what a warehouse or a model answers
may still have them, and is kept with U+FFFD in their place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from shared.platform.text import strict_json
from shared.platform.text.characters import storable

_ARRAY = re.compile(r"(?<!:):([A-Za-z_][A-Za-z0-9_]*)::(?:text|uuid)\[\]")
_PLAIN = (str, int, float, bytes, Decimal, UUID, date, timedelta, type(None))


def bound(statement: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as the driver gets them: none is a container. Raises TypeError for what has no form here."""
    arrays = arrays_of(statement)
    return {name: _bound(name, value, name in arrays) for name, value in values.items()}


@lru_cache(maxsize=1024)
def arrays_of(statement: str) -> frozenset[str]:
    """The parameters that the statement casts to an array of texts or ids."""
    return frozenset(_ARRAY.findall(statement))


def array(items: Iterable[str | UUID | None]) -> str:
    """The array literal of texts or ids (PostgreSQL's manual, "Array Input and Output Syntax").

    A quoted element is the text between its quotes, whatever it is, where backslash and quote are escaped.
    Raises TypeError for any other item.
    """
    return "{" + ",".join("NULL" if item is None else _element(item) for item in items) + "}"


def _bound(name: str, value: Any, is_array: bool) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, _PLAIN):
        return value
    if is_array and isinstance(value, list | tuple | set | frozenset):
        return array(value)
    if isinstance(value, dict | list | tuple):
        return _json(value)
    raise TypeError(f"the parameter {name} can't be a {type(value).__name__}")


def _element(item: Any) -> str:
    if not isinstance(item, str | UUID):
        raise TypeError(f"an array holds texts and ids, not a {type(item).__name__}")
    text = storable(str(item)).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _json(value: Any) -> str:
    try:
        text = strict_json.dumps(value).decode()
    except UnicodeEncodeError:
        return strict_json.dumps(_cleaned(value)).decode()
    return strict_json.dumps(_cleaned(value)).decode() if "\\u0000" in text else text


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(item) for name, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list | tuple) else value
