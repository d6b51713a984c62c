"""Only `shared/warehouses` knows vendors: elsewhere no name of one, of its types or of its own functions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WAREHOUSES = ROOT / "shared" / "warehouses"
VENDOR = re.compile(r"big_?query|googlesql|snowflake|redshift", re.IGNORECASE)
ROOMS = re.compile(r"warehouses\.(?:postgres|bigquery)|sqlglot\.(?:dialects|parsers|generators)")
SERVER = re.compile(r"[\"']postgres[\"']")
"""A vendor that is the directory's server too: for the platform it is no warehouse."""
TYPES = re.compile(
    r"\b(?:INT64|FLOAT64|BIGNUMERIC|BIGDECIMAL|TIMESTAMP_NTZ|TIMESTAMP_LTZ|TIMESTAMP_TZ|TIMESTAMPTZ|VARIANT)\b"
    r"|[\"'](?:STRING|BOOL|BYTES|NUMERIC|RECORD|STRUCT|DATETIME|GEOGRAPHY)[\"']|\b(?:ARRAY|STRUCT)<"
)
FUNCTIONS = re.compile(
    r"\b(?:SAFE_(?:DIVIDE|CAST|ADD|SUBTRACT|MULTIPLY|NEGATE|OFFSET)|(?:DATE|DATETIME|TIMESTAMP|TIME)_(?:TRUNC|ADD|SUB|DIFF)|(?:PARSE|FORMAT)_(?:DATE|DATETIME|TIMESTAMP)"
    r"|APPROX_[A-Z_]+|COUNTIF|GENERATE_(?:DATE_)?ARRAY|ARRAY_LENGTH|PERCENTILE_CONT|TO_CHAR|DATE_PART|DAYOFWEEK)\b"
)
NODES = re.compile(
    r"\bexp\.(?:\w+Trunc|CountIf|Approx\w+|WeekStart|Extract|SafeDivide|TryCast|Date|Timestamp|Datetime|Parameter)\("
)
DIALECT = re.compile(r"\b(?:dialect|read|write)=f?[\"']")
ALL = {
    "a vendor": VENDOR,
    "a vendor's room": ROOMS,
    "a type of a vendor": TYPES,
    "a function of a vendor": FUNCTIONS,
    "a piece of SQL that vendors write differently": NODES,
    "a dialect by its name": DIALECT,
    "a server as a warehouse": SERVER,
}


def named(text: str, *, platform: bool = False) -> list[str]:
    """What a source names of vendors, line by line."""
    return [
        f"{number}: {what}: {match[0]}"
        for number, line in enumerate(text.splitlines(), start=1)
        for what, pattern in ALL.items()
        if not (platform and pattern is SERVER)
        for match in pattern.finditer(line)
    ]


SOURCES = [
    path
    for room in ("shared", "functions")
    for path in sorted((ROOT / room).rglob("*"))
    if path.suffix in (".py", ".sql") and not path.is_relative_to(WAREHOUSES)
]


def test_no_room_but_the_warehouses_names_a_vendor() -> None:
    """A new kind of warehouse is a folder and a line of the registry; nobody else is touched."""
    assert len(SOURCES) > 150
    found = {}
    for path in SOURCES:
        source = path.read_text()
        # The directory's own SQL is Postgres', and says so with its types.
        if path.suffix == ".py" or VENDOR.search(source):
            found[str(path.relative_to(ROOT))] = named(source, platform="platform" in path.parts)
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        'DIALECT = "bigquery"',
        "from shared.warehouses.bigquery.adapter import BigQuery",
        "import sqlglot.dialects.duckdb",
        "Connection = Literal['snowflake']",
        'if column.type == "INT64":',
        'kinds = ("STRING", "BYTES")',
        'f"ARRAY<{parameter.kind}>"',
        'exp.DateTrunc(this=day, unit=unit)',
        'exp.CountIf(this=test)',
        'text = "SELECT SAFE_DIVIDE(a, b)"',
        'parse_one(text, dialect="duckdb")',
        'tree.sql(dialect="postgres")',
    ],
)  # fmt: skip
def test_each_way_of_naming_one_is_found(line: str) -> None:
    """What was there before is seen if it comes back."""
    assert named(line)
