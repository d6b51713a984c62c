"""What neither DuckDB's types nor its functions give exactly: NUMERIC products and quotients, and Google's own hash.

Registered as scalar functions of the engine; a NULL among the arguments gives NULL without a call.
"""

from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

import duckdb

from local.cloud.bigquery.fingerprint import fingerprint64

# Wide enough for the product of two NUMERICs; BigQuery rounds half away from zero.
_WIDE = Context(prec=100, rounding=ROUND_HALF_UP)
_UNIT = Decimal("1e-9")
_LIMIT = Decimal("1e29")


def _numeric(value: Decimal) -> Decimal:
    rounded = value.quantize(_UNIT, context=_WIDE)
    if abs(rounded) >= _LIMIT:
        raise ValueError("numeric overflow")
    return rounded


def multiply(a: Decimal, b: Decimal) -> Decimal:
    return _numeric(_WIDE.multiply(a, b))


def divide(a: Decimal, b: Decimal) -> Decimal:
    if not b:
        raise ValueError(f"division by zero: {a.normalize():f} / 0")
    return _numeric(_WIDE.divide(a, b))


def integer_divide(a: Decimal, b: Decimal) -> Decimal:
    """DIV: the quotient without its fraction."""
    if not b:
        raise ValueError(f"division by zero: {a.normalize():f} / 0")
    return _numeric(_WIDE.divide_int(a, b).quantize(Decimal(1), rounding=ROUND_DOWN, context=_WIDE))


def register(database: duckdb.DuckDBPyConnection) -> None:
    numeric = "DECIMAL(38, 9)"
    for name, function in (
        ("exact_multiply", multiply),
        ("exact_divide", divide),
        ("exact_integer_divide", integer_divide),
    ):
        database.create_function(name, function, [numeric, numeric], numeric)
    database.create_function("farm_fingerprint", fingerprint64, ["BLOB"], "BIGINT")
