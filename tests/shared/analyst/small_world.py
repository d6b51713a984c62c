"""A small warehouse on DuckDB behind the contracts of the analyst's tools, for tests of the analyst alone.

The real tools are tested over the real servers (test_tools, tests/evals). Here the point is the analyst's own
conduct, so everything that it may not get wrong is real: the SQL guard, the document's checks, and an engine
that runs its SQL on data of a schema that was invented for these tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb
import sqlglot

from shared.agents.protocol.model import (
    Message,
    Request,
    SystemBlock,
    Text,
    TextDelta,
    ToolCallReady,
    ToolResult,
    ToolUse,
)
from shared.analyst.builtin.procedure import CONTEXT_BLOCK
from shared.analyst.builtin.provider import Builtin
from shared.dashboards import reading as documents
from shared.platform.errors import BridgeError
from shared.platform.text import safe_yaml
from shared.warehouses.bigquery.dialect import BIGQUERY
from shared.warehouses.guard import guard

PROJECT = "acme"


@dataclass
class SmallWorld:
    """Tables with descriptions, and the tools' answers about them."""

    tables: dict[str, tuple[str, str, dict[str, str]]]
    """dataset.table → (SELECT that makes it, description, descriptions of columns)."""
    partitions: dict[str, str] = field(default_factory=dict)
    cap: int = 100_000_000
    refuse: str | None = None
    """A text: dry runs of queries that contain it fail."""
    saved: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.db = duckdb.connect()
        self.db.execute(f"ATTACH ':memory:' AS {PROJECT}")
        for name, (query, _, _) in self.tables.items():
            self.db.execute(f"CREATE SCHEMA IF NOT EXISTS {PROJECT}.{name.split('.')[0]}")
            self.db.execute(f"CREATE TABLE {PROJECT}.{name} AS {query}")
        self.proven: set[str] = set()
        self.validated: set[str] = set()

    def answer(self, tool: str, arguments: Mapping[str, Any]) -> tuple[Any, bool]:
        """What the tool says, and whether it failed."""
        self.calls.append((tool, arguments))
        try:
            return json.loads(json.dumps(getattr(self, f"_{tool}")(**arguments), default=str)), False
        except Refused as refusal:
            return {"error": {"code": refusal.code, "message": str(refusal)}}, True

    def rows(self, sql: str, filters: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        """The rows of a query of a dashboard, with the opening values of its filters."""
        columns, rows = self._run(sql, filters or [])
        return [dict(zip(columns, row, strict=True)) for row in rows]

    # Tools ------------------------------------------------------------------------------------

    def _search_catalog(self, query: str, limit: int = 20) -> Any:
        words = query.lower().split()
        hits = [
            name
            for name, (_, told, _) in self.tables.items()
            if any(word[:5] in f"{name} {told}".lower() for word in words)
        ]
        return {
            "hits": [
                {"table": f"{PROJECT}.{name}", "description": self.tables[name][1], "matched_columns": []}
                for name in hits[:limit]
            ]
        }

    def _list_tables(self) -> Any:
        listed = [
            {"table": f"{PROJECT}.{name}", "description": told, "row_count": self._count(name)}
            for name, (_, told, _) in sorted(self.tables.items())
        ]
        return {"dialect": "bigquery", "tables": listed, "total": len(listed)}

    def _get_table_schema(self, table: str) -> Any:
        name = table.removeprefix(f"{PROJECT}.")
        if name not in self.tables:
            raise Refused("NOT_FOUND", f"The catalog has no table {table}.")
        _, told, described = self.tables[name]
        columns = self.db.execute(f"DESCRIBE {PROJECT}.{name}").fetchall()
        return {
            "table": f"{PROJECT}.{name}", "type": "BASE TABLE", "row_count": self._count(name), "description": told, "dialect": "bigquery",
            "partitioning": {"column": self.partitions[name], "type": "DAY"} if name in self.partitions else None,
            "columns": [
                {"path": column[0], "type": _type(column[1]), "position": place, "description": described.get(column[0]), "statistics": self._measured(name, column[0])}
                for place, column in enumerate(columns)
            ],
        }  # fmt: skip

    def _profile_column(self, table: str, column: str, matching: str | None = None) -> Any:
        name = table.removeprefix(f"{PROJECT}.")
        where = (
            f"""WHERE lower(CAST("{column}" AS VARCHAR)) LIKE '%' || ? || '%'"""
            if matching
            else f'WHERE "{column}" IS NOT NULL AND ? = ?'
        )
        given = [matching.lower()] if matching else ["", ""]
        top = self.db.execute(
            f'SELECT CAST("{column}" AS VARCHAR), count(*) FROM {PROJECT}.{name} {where} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50',
            given,
        ).fetchall()
        measured = {} if matching else self._measured(name, column)
        return {
            "table": table,
            "column": column,
            **measured,
            "top_values": [{"value": value, "count": count} for value, count in top],
        }

    def _run_dry_run_query(self, sql: str, filters: list[dict[str, Any]] | None = None) -> Any:
        try:
            checked = guard.check(sql, BIGQUERY, allowed=self._allowed(), project=PROJECT)
        except BridgeError as error:
            return {
                "valid": False,
                "error": {"code": error.code, "message": f"{error.message} {error.reason}"},
                "bytes_scanned": None,
            }
        if self.refuse and self.refuse in sql:
            return {
                "valid": False,
                "error": {"code": "QUERY_INVALID", "message": f"No {self.refuse} today."},
                "bytes_scanned": None,
            }
        self._run(sql, filters or [])
        scanned = self._scanned(sql, filters or [])
        if scanned >= self.cap:
            return {
                "valid": False,
                "bytes_scanned": scanned,
                "cap_bytes": self.cap,
                "error": {"code": "BYTES_CAP_EXCEEDED", "message": f"{scanned} bytes."},
                "advice": "Narrow.",
            }
        self.proven.add(checked.fingerprint)
        return {"valid": True, "bytes_scanned": scanned, "cap_bytes": self.cap, "error": None, "advice": None}

    def _preview_query(self, sql: str, filters: list[dict[str, Any]] | None = None, limit: int = 20) -> Any:
        guard.check(sql, BIGQUERY, allowed=self._allowed(), project=PROJECT)
        columns, rows = self._run(sql, filters or [])
        return {
            "columns": [{"name": name, "type": "STRING"} for name in columns],
            "rows": [list(row) for row in rows[:limit]],
            "row_count": len(rows),
            "truncated": len(rows) > limit,
        }

    def _validate_dashboard_yaml(self, yaml_content: str) -> Any:
        parsed = documents.parse(yaml_content)
        errors = [problem.model_dump() for problem in parsed.errors]
        if not errors:
            self.validated.add(yaml_content)
        slug = parsed.document.slug if parsed.document else ""
        free = slug if slug not in self.saved else f"{slug}-2"
        return {"valid": not errors, "errors": errors, "warnings": [], "slug": {"given": slug, "free": free}}

    def _save_dashboard_yaml(self, yaml_content: str, expected_generation: int | None = None) -> Any:
        if yaml_content not in self.validated:
            raise Refused("NOT_VALIDATED", "Validate first.")
        document = documents.parse(yaml_content).document
        assert document is not None
        missing = [
            query.id
            for query in document.queries
            if guard.fingerprint(query.sql, BIGQUERY) not in self.proven
        ]
        if missing:
            raise Refused("DRY_RUN_MISSING", f"Dry-run {missing} first.")
        if expected_generation is None and document.slug in self.saved:
            raise Refused("SLUG_TAKEN", "The name is taken.")
        self.saved[document.slug] = yaml_content
        return {
            "slug": document.slug,
            "title": document.title,
            "version": 1,
            "generation": "1",
            "preview_url": f"/dash/{document.slug}",
        }

    def _get_dashboard(self, slug: str) -> Any:
        document = documents.parse(self.saved[slug]).document
        assert document is not None
        return {"slug": slug, "generation": "1", "document": documents.as_data(document)}

    def _ask_user(self, question: str, options: list[str]) -> Any:
        return {"question": question, "options": options, "status": "asked"}

    def _decline(self, reason: str, message: str, available: list[str]) -> Any:
        return {"status": "declined", "reason": reason}

    # Parts ------------------------------------------------------------------------------------

    def _allowed(self) -> set[str]:
        return {f"{PROJECT}.{name.split('.')[0]}" for name in self.tables}

    def _count(self, name: str) -> int:
        found = self.db.execute(f"SELECT count(*) FROM {PROJECT}.{name}").fetchone()
        return int(found[0]) if found else 0

    def _measured(self, name: str, column: str) -> dict[str, Any]:
        found = self.db.execute(
            f'SELECT count(DISTINCT "{column}"), min("{column}"), max("{column}"), 1 - count("{column}") / count(*) FROM {PROJECT}.{name}'
        ).fetchone()
        assert found is not None
        low, high = (
            value if isinstance(value, int | float | str | None) else str(value) for value in found[1:3]
        )
        return {"distinct": found[0], "min": low, "max": high, "null_share": found[3]}

    def _scanned(self, sql: str, filters: list[dict[str, Any]]) -> int:
        """Eight bytes a column and row; a range on the partition's column reads only its share."""
        tree = sqlglot.parse_one(sql, dialect="bigquery")
        total = 0
        for table in tree.find_all(sqlglot.exp.Table):
            name = f"{table.db}.{table.name}"
            if name not in self.tables:
                continue
            columns = {column.name for column in tree.find_all(sqlglot.exp.Column)}
            share = 1.0
            ranged = next((entry.get("default") for entry in filters if entry["type"] == "date_range"), None)
            if name in self.partitions and ranged and ranged.get("start"):
                part = self.partitions[name]
                low, high = ranged["start"], ranged.get("end") or "9999-12-31"
                found = self.db.execute(
                    f'SELECT avg(CASE WHEN "{part}" BETWEEN ? AND ? THEN 1.0 ELSE 0 END) FROM {PROJECT}.{name}',
                    [low, high],
                ).fetchone()
                share = float(found[0]) if found else 1.0
            total += int(self._count(name) * 8 * max(1, len(columns)) * share)
        return total

    def _run(self, sql: str, filters: list[dict[str, Any]]) -> tuple[list[str], list[tuple[Any, ...]]]:
        text = sqlglot.transpile(sql, read="bigquery", write="duckdb")[0]
        given: dict[str, Any] = {}
        for entry in filters:
            default = entry.get("default") or {}
            kinds = {"date_range": ("DATE", ("start", "end")), "number_range": ("DOUBLE", ("min", "max"))}
            if entry["type"] in kinds:
                kind, ends = kinds[entry["type"]]
                for end in ends:
                    given[f"{entry['id']}_{end}"] = (default.get(end), kind)
            else:
                given[entry["id"]] = (None, "VARCHAR")
        used = {name: value for name, (value, _) in given.items() if re.search(rf"\${name}\b", text)}
        for name in used:
            text = re.sub(rf"\${name}\b", f"CAST(${name} AS {given[name][1]})", text)
        cursor = self.db.execute(text, used) if used else self.db.execute(text)
        return [column[0] for column in cursor.description or ()], cursor.fetchall()


class Refused(Exception):
    """A tool's refusal."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Conversation:
    """A conversation with the analyst over a small world."""

    world: SmallWorld
    messages: list[Message] = field(default_factory=list)
    rounds: int = 0

    def say(self, text: str) -> str:
        """Say something; answers all that the analyst says until it ends its turn."""
        self.messages.append(Message("user", (Text(text),)))
        spoken = ""
        for _ in range(24):
            self.rounds += 1
            words, calls = self.step()
            spoken += words
            blocks = ((Text(words),) if words else ()) + tuple(calls)
            self.messages.append(Message("assistant", blocks))
            if not calls:
                return spoken
            answers = [(call, *self.world.answer(call.name, call.arguments)) for call in calls]
            self.messages.append(
                Message(
                    "user", tuple(ToolResult(call.id, content, failed) for call, content, failed in answers)
                )
            )
        raise AssertionError("the analyst does not come to an end")

    def step(self) -> tuple[str, list[ToolUse]]:
        """One call of the provider."""
        request = Request(
            "analyst-1",
            (SystemBlock(CONTEXT_BLOCK, "connection: Acme\ndialect: bigquery"),),
            tuple(self.messages),
            (),
        )
        events = list(Builtin().stream(request))
        words = "".join(event.text for event in events if isinstance(event, TextDelta))
        return words, [
            ToolUse(event.id, event.name, event.arguments)
            for event in events
            if isinstance(event, ToolCallReady)
        ]

    @property
    def dashboard(self) -> dict[str, Any]:
        """The dashboard that was saved last."""
        value, _ = safe_yaml.load(list(self.world.saved.values())[-1])
        return dict(value)

    def tools(self) -> list[str]:
        """The tools that were called, in order."""
        return [name for name, _ in self.world.calls]

    def charts(self) -> Iterator[dict[str, Any]]:
        """The charts of the dashboard."""
        return (tile for tile in self.dashboard["layout"] if tile["type"] == "chart")

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The rows of one of the dashboard's queries."""
        sql = next(entry["sql"] for entry in self.dashboard["queries"] if entry["id"] == query)
        return self.world.rows(
            sql, [entry for entry in self.dashboard.get("filters", []) if f"@{entry['id']}" in sql]
        )


def _type(name: str) -> str:
    return {
        "BIGINT": "INT64",
        "INTEGER": "INT64",
        "DOUBLE": "FLOAT64",
        "VARCHAR": "STRING",
        "BOOLEAN": "BOOL",
        "TIMESTAMP": "DATETIME",
        "HUGEINT": "INT64",
    }.get(name, "NUMERIC" if name.startswith("DECIMAL") else name)
