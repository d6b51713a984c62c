"""Validation finds before saving what a reader would find after."""

from __future__ import annotations

from typing import Any

import pytest


def check(board: Any, text: str) -> dict[str, Any]:
    answer = board.call("POST", "/v1/dashboards/validate", {"team_id": board.team, "yaml_content": text})
    assert answer.status == 200, answer.content
    return dict(answer.json)


def test_a_valid_document_tells_what_its_queries_would_scan(board: Any, document_text: str) -> None:
    """Bytes, columns, tables and fingerprint of each; nothing is kept and nothing is run."""
    report = check(board, document_text)
    assert (report["valid"], report["errors"]) == (True, [])
    monthly = next(query for query in report["queries"] if query["id"] == "monthly")
    assert monthly["bytes_scanned"] == 1000
    assert monthly["tables"] == ["demo.flights.flights"]
    assert {"name": "flights", "type": "INT64"} in monthly["schema"]
    assert len(monthly["fingerprint"]) == 64
    assert board.warehouse.executions == []
    assert board.row() is None


@pytest.mark.parametrize(
    ("before", "after", "path", "message", "hint"),
    [
        ("y: flights", "y: fligths", "layout[1].options.y", "no column fligths", "Did you mean flights?"),
        ("y: flights", "y: carrier", "layout[1].options.y", "needs a number", "flights"),
        ("value: flights", "value: total", "layout[0].options.value", "no column total", None),
        ("FROM flights.flights", "FROM secret.people", "queries[0].sql", "does not offer", None),
        ("FROM flights.flights", "FROM flights.nothing", "queries[0].sql", "nothing", None),
        ("connection: Warehouse", "connection: Warehose", "connection", "no connection Warehose", "Warehouse"),
        ("SELECT SUM(flights) AS flights FROM", "DELETE FROM", "queries[1].sql", "", None),
        ("SELECT SUM(flights) AS flights FROM", "SELECT SESSION_USER() AS flights FROM", "queries[1].sql", "", None),
        ("query: monthly}", "query: monthly, options: {sort: -nope}}", "layout[2].options.sort", "no column nope", None),
    ],
)  # fmt: skip
def test_what_a_reader_would_meet_is_found_first(
    board: Any, document_text: str, before: str, after: str, path: str, message: str, hint: str | None
) -> None:
    """Each with its place in the text and what to do."""
    assert before in document_text
    report = check(board, document_text.replace(before, after, 1))
    assert report["valid"] is False
    errors = [error for error in report["errors"] if error["path"] == path]
    assert errors, report["errors"]
    assert message in errors[0]["message"]
    assert hint is None or hint in (errors[0]["hint"] or "")
    assert errors[0]["line"] > 1


def test_a_hundred_million_bytes_are_too_many(board: Any, document_text: str) -> None:
    """One below the cap is accepted; at the cap the hint names the partition column, and saving is refused."""
    board.warehouse.bytes_scanned = 99_999_999
    assert check(board, document_text)["valid"] is True
    board.warehouse.bytes_scanned = 100_000_000
    board.cloud.sql(
        "INSERT INTO tables (id, team_id, dataset_id, name, fully_qualified_name, table_type, partitioning)"
        " SELECT gen_random_uuid(), team_id, id, 'flights', 'demo.flights.flights', 'TABLE',"
        ' \'{"column": "day", "type": "DAY", "require_filter": false}\''
        " FROM datasets WHERE connection_id = :c",
        c=board.connection,
    )
    report = check(board, document_text)
    assert {error["code"] for error in report["errors"]} == {"BYTES_CAP_EXCEEDED"}
    assert "flights is partitioned by day" in report["errors"][0]["hint"]
    saved = board.save()
    assert (saved.status, saved.error["code"]) == (422, "DASHBOARD_INVALID")
    assert saved.error["details"]["errors"][0]["code"] == "BYTES_CAP_EXCEEDED"


def test_the_dry_run_must_agree_with_the_guard(board: Any, document_text: str) -> None:
    """A view whose base lies in a dataset that is not offered is refused."""
    board.warehouse.also_reads = ("demo.secret.people",)
    assert {error["code"] for error in check(board, document_text)["errors"]} == {"DATASET_NOT_ALLOWED"}


def test_an_unreachable_warehouse_is_not_the_documents_fault(board: Any, document_text: str) -> None:
    """503, and the event of such an object is repeated instead of making an invalid row."""
    board.warehouse.fall_over()
    body = {"team_id": board.team, "yaml_content": document_text}
    assert board.call("POST", "/v1/dashboards/validate", body).status == 503
    stored = board.put_object("flights.yaml", document_text)
    assert board.finalized(stored) == 503
    assert board.row() is None
    board.warehouse.broken = None
    assert board.finalized(stored) == 204
    assert board.row()["status"] == "ready"


def test_a_strangers_connection_is_as_unknown_as_none(board: Any, document_text: str) -> None:
    """By name and by id."""
    other = board.cloud.person("other")
    team = board.cloud.team(other)
    foreign = board.connect(team, other)
    texts = [
        document_text.replace("connection: Warehouse", f"connection: {name}") for name in (foreign, "Nowhere")
    ]
    messages = [check(board, text)["errors"][0]["message"].split()[:5] for text in texts]
    assert messages[0] == messages[1]
