"""The parser's dialects, loaded whole before they are used."""

from __future__ import annotations

from shared.warehouses.contract import Dialect


def loaded(dialect: Dialect) -> Dialect:
    """The dialect's name, once its module is there from its first line to its last.

    sqlglot registers a dialect's class before it has set it up, and a second thread that asks for it by
    name meanwhile gets it half made: it reads r'…' as a column and a text. An import waits for whoever is
    importing the module.
    """
    if dialect == "bigquery":
        import sqlglot.dialects.bigquery
    elif dialect == "postgres":
        import sqlglot.dialects.postgres
    else:
        import sqlglot.dialects.snowflake  # noqa: F401
    return dialect
