"""Number formats: the document's words as Vega expressions and patterns.

Short units are K, M, B and T (d3's own SI prefixes say G for a billion and m for a thousandth, which
nobody reads as money or counts).
"""

from __future__ import annotations

from shared.dashboards.document.shapes import FORMATS

EXACT = {
    "auto": ",.6~g",
    "number": ",.2~f",
    "integer": ",.0f",
    "short": ",.6~g",
    "percent": ".2~%",
    "bytes": ",.0f",
    "duration": ",.1~f",
}
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "CNY": "¥", "INR": "₹", "KRW": "₩", "CHF": "CHF "}
_SHORT = (
    "abs({v}) < 1000 ? format({v}, ',.3~g') : replace(replace(format({v}, '.3~s'), 'k', ' K'), 'G', ' B')"
)


def axis(name: str, currency: str) -> dict[str, str]:
    """Axis properties that write labels in this format."""
    if name in ("auto", "short", "number", "integer"):
        return {"labelExpr": _short("datum.value")}
    if name == "currency":
        return {
            "labelExpr": f"(datum.value < 0 ? '−' : '') + '{symbol(currency)}' + ({_short('abs(datum.value)')})"
        }
    if name == "bytes":
        return {"labelExpr": "replace(format(datum.value, '.3~s'), 'k', 'K') + 'B'"}
    if name == "percent":
        return {"format": ".2~%"}
    if name == "duration":
        return {"labelExpr": "format(datum.value, ',.3~g') + ' s'"}
    return {} if name in FORMATS else {"format": name}


def tooltip(name: str) -> str | None:
    """The d3 pattern of an exact value, or None for text and dates."""
    if name == "currency":
        return ",.2f"
    return EXACT.get(name, None if name in FORMATS else name)


def symbol(currency: str) -> str:
    """The sign that stands before an amount."""
    return _SYMBOLS.get(currency, f"{currency} ")


def _short(value: str) -> str:
    return _SHORT.format(v=value)
